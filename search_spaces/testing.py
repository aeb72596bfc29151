"""The conformance kit for families: everything that the search, the training loop and the export rely on, in one call.

`check_family(MyNet)` in a test of your own is all it takes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from search_spaces.language import Architecture, Infeasible, Space
from search_spaces.layers import set_dropout_generator
from search_spaces.spec import CategoricalColumn, Classes, Image, Inputs, NumericColumn, Outputs, Table, Values
from search_spaces.variation import sample

__all__ = ["INPUTS", "OUTPUTS", "NotConforming", "check_family"]

ROWS = 12
TOLERANCE = 1e-4  # between two ways to compute one output: kernels round differently for other batch sizes
HOSTILE_NUMBERS = (0.0, float("nan"), float("inf"), float("-inf"), 3e38, -3e38, 1e-40, -2.5)
HOSTILE_CODES = (0, -1, 2**40, -(2**62), 1, 2, 3, 10**6)


class NotConforming(AssertionError):
    """A family breaks a promise; the message names the promise, the specs and the configuration."""


def _number(name: str, low: float, high: float, missing: float = 0.0) -> NumericColumn:
    quantiles = tuple(low + (high - low) * i / 48 for i in range(49))
    return NumericColumn(name, (low + high) / 2, (high - low) / 12**0.5, quantiles, missing)


_NUMBERS = (_number("a", -1.0, 1.0), _number("b", 0.0, 1e6), _number("c", 3.0, 3.5))
_HOLES = (_number("d", -1.0, 1.0, 0.3), _number("constant", 5.0, 5.0, 0.1), _number("empty", 0.0, 0.0, 1.0))
_CODES = (CategoricalColumn("e", (0, 60, 40)), CategoricalColumn("f", (2, *[7] * 14)))
_UNSEEN = (CategoricalColumn("g", (0, 50, 0, 50, 0)), CategoricalColumn("h", (100,)), CategoricalColumn("i", (98, 1, 1)))


def _image(height: int, width: int, channels: int, dtype: str = "uint8") -> Image:
    mean, std = (120.0, 60.0) if dtype == "uint8" else (0.0, 1.0)
    return Image(height, width, channels, dtype, (mean,) * channels, (std,) * channels, ("horizontal",), 100)


INPUTS: Mapping[str, Inputs] = {
    "both": Table((*_NUMBERS, *_HOLES), (*_CODES, *_UNSEEN), 100),
    "numbers": Table(_NUMBERS, (), 100),
    "codes": Table((), _CODES, 100),
    "one number": Table(_NUMBERS[:1], (), 100),
    "one code": Table((), _CODES[:1], 100),
    "missing values": Table(_HOLES, (), 100),
    "unseen codes": Table((), _UNSEEN, 100),
    "grey images": _image(14, 14, 1),
    "colour images": _image(32, 32, 3),
    "oblong images": _image(5, 40, 2, "float32"),
    "one pixel": _image(1, 1, 1),
    "large images": _image(72, 64, 3),
}
OUTPUTS: Mapping[str, Outputs] = {
    "binary": Classes((70, 30)),
    "multiclass": Classes((50, 30, 0, 20)),
    "regression": Values(100.0, 20.0),
}


@dataclass(frozen=True)
class _Case:
    """One configuration for one pair of specs."""

    configuration: Architecture
    where: str
    inputs: Inputs
    outputs: Outputs

    def fail(self, promise: str, came: object, cause: Exception | None = None) -> NotConforming:
        error = NotConforming(f"{promise}; came: {came}; specs: {self.where}; configuration: {self.configuration!r}")
        error.__cause__ = cause
        return error

    def network(self, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self.configuration.build(self.inputs, self.outputs)
        if not isinstance(network, nn.Module):
            raise self.fail("build must return a torch.nn.Module", type(network).__name__)
        return network

    def predict(self, network: nn.Module, batch: tuple[Tensor, ...], seed: int = 0) -> Tensor:
        """Return the outputs in evaluation, under torch's global generator at `seed`."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            outputs: Tensor = network.eval()(*batch)
        return outputs


def check_family(
    family: type[Architecture],
    inputs: Mapping[str, Inputs] | None = None,
    outputs: Mapping[str, Outputs] = OUTPUTS,
    samples: int = 2,
    seed: int = 0,
) -> None:
    """Check what every family promises, for each pair of specs: its default and `samples` random members of its narrowed space.

    inputs: by default those of `INPUTS` that are of a kind that the family takes.

    Members survive JSON; the default is feasible; equal seeds build equal weights; outputs are finite, `(batch, width)`, whatever
    comes in; codes never seen count as missing; gradients are finite and reach every parameter; training draws only from the
    generator of `set_dropout_generator`; predictions depend on their own row alone; a state loads into a fresh network;
    `torch.export` keeps the batch dynamic (tried once, on the first pair of specs). Raises `NotConforming` at the first breach.
    """
    exported = False
    suited = {name: spec for name, spec in INPUTS.items() if isinstance(spec, family.takes)} if inputs is None else inputs
    for case in _cases(family, suited, outputs, samples, seed):
        for check in _CHECKS:
            _guarded(case, check)
        if not exported:
            _guarded(case, _check_export)
            exported = True


def _cases(
    family: type[Architecture], inputs: Mapping[str, Inputs], outputs: Mapping[str, Outputs], samples: int, seed: int
) -> Iterator[_Case]:
    rng, narrow = random.Random(seed), getattr(family, "narrow", None)
    for inputs_name, table in inputs.items():
        for outputs_name, targets in outputs.items():
            space = Space(family, narrow(table, targets) if narrow is not None else {})
            where = f"{inputs_name}, {outputs_name}"
            default = _Case(space.default(), where, table, targets)
            try:
                default.network()
            except Infeasible as error:
                raise default.fail("the default of the narrowed space must be feasible", error, error) from error
            except NotConforming:
                raise
            except Exception as error:
                raise default.fail("build must not raise", repr(error), error) from error
            yield default
            yield from (_Case(sample(space, rng), where, table, targets) for _ in range(samples))


def _guarded(case: _Case, check: Callable[[_Case], None]) -> None:
    try:
        check(case)
    except NotConforming:
        raise
    except Infeasible:
        return
    except Exception as error:
        promise = check.__name__.removeprefix("_check_").replace("_", " ")
        raise case.fail(f"nothing may raise (while checking: {promise})", repr(error), error) from error


def _check_json(case: _Case) -> None:
    again = type(case.configuration).from_dict(json.loads(json.dumps(case.configuration.to_dict())))
    if again != case.configuration:
        raise case.fail("from_dict must return what to_dict wrote", again)


def _check_seeds(case: _Case) -> None:
    first, second = case.network(1).state_dict(), case.network(1).state_dict()
    for name, tensor in first.items():
        if name not in second or not torch.equal(tensor, second[name]):
            raise case.fail("equal seeds must give equal weights, drawn from torch's global generator alone", f"two {name!r}")


def _check_outputs(case: _Case) -> None:
    batch = _batch(case.inputs, hostile=True)
    kept = [tensor.clone() for tensor in batch]
    outputs, shape = case.predict(case.network(), batch), (ROWS, case.outputs.width)
    if outputs.shape != shape or outputs.dtype != torch.float32:
        raise case.fail(f"forward must return float32 (batch, width) = {shape}", f"{outputs.dtype} {tuple(outputs.shape)}")
    broken = (~outputs.isfinite()).any(1).nonzero().flatten().tolist()
    if broken:
        row = [tensor[broken[0]].tolist() for tensor in batch]
        raise case.fail("outputs must be finite for NaN, infinite, huge and unknown inputs", f"others for {row}")
    if not all(torch.equal(old.nan_to_num(), new.nan_to_num()) for old, new in zip(kept, batch, strict=True)):
        raise case.fail("forward must not change its inputs", "other inputs after forward")


def _check_unseen_codes(case: _Case) -> None:
    if not isinstance(case.inputs, Table):
        return
    network, (numeric, categorical) = case.network(), _batch(case.inputs)
    for i, column in enumerate(case.inputs.categorical):
        unseen = [code for code, count in enumerate(column.counts) if count == 0 and code]
        known = categorical.clone()
        known[:, i] = 0
        missing = case.predict(network, (numeric, known))
        for code in (*unseen, len(column.counts), -1):
            known[:, i] = code
            if not torch.allclose(case.predict(network, (numeric, known)), missing, rtol=0, atol=TOLERANCE):
                came = f"another output for {code} in column {column.name!r}"
                raise case.fail("codes with count 0 or out of range must count as code 0", came)


def _check_gradients(case: _Case) -> None:
    network, batch = case.network().train(), _batch(case.inputs, hostile=True)
    (network(*batch) * torch.linspace(-1, 1, ROWS).unsqueeze(1)).sum().backward()
    for name, parameter in network.named_parameters():
        if parameter.requires_grad and parameter.grad is None:
            raise case.fail("gradients must reach every parameter that requires them", f"none for {name!r}")
        if parameter.grad is not None and not parameter.grad.isfinite().all():
            raise case.fail("gradients must be finite for NaN, infinite, huge and unknown inputs", f"others for {name!r}")


def _check_dropout(case: _Case) -> None:
    seen = []
    for seed in (1, 2):
        network = case.network().train()
        set_dropout_generator(network, torch.Generator().manual_seed(0))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            seen.append(network(*_batch(case.inputs)))
    if not torch.equal(*seen):
        raise case.fail(
            "training may draw only from the generator of set_dropout_generator (use search_spaces.layers.Dropout)",
            "outputs that depend on torch's global generator",
        )


def _check_evaluation(case: _Case) -> None:
    network, batch = case.network(), _batch(case.inputs)
    whole = case.predict(network, batch, seed=1)
    if not torch.equal(case.predict(network, batch, seed=2), whole):
        raise case.fail("predictions must be the same each time", "outputs that differ from call to call")
    for rows in (slice(0, 1), slice(1, 2), slice(2, ROWS)):
        part = case.predict(network, tuple(tensor[rows] for tensor in batch))
        if not torch.allclose(part, whole[rows], rtol=TOLERANCE, atol=TOLERANCE):
            came = f"other outputs for rows {rows.start} to {rows.stop} alone"
            raise case.fail("a prediction must depend on its own row alone", came)


def _check_state(case: _Case) -> None:
    trained, fresh, batch = case.network(1), case.network(2), _batch(case.inputs)
    trained.train()(*batch)
    fresh.load_state_dict(trained.state_dict())
    if not torch.equal(case.predict(trained, batch), case.predict(fresh, batch)):
        raise case.fail("a state must hold all that predictions depend on", "other outputs from a fresh network with this state")


def _check_export(case: _Case) -> None:
    network, batch = case.network().eval(), _batch(case.inputs)
    size = torch.export.Dim("batch")
    program = torch.export.export(network, batch, dynamic_shapes=tuple({0: size} for _ in batch))
    for rows in (slice(0, 5), slice(5, 8)):
        part = tuple(tensor[rows] for tensor in batch)
        with torch.no_grad():
            outputs = program.module()(*part)
        if not torch.allclose(outputs, case.predict(network, part), rtol=TOLERANCE, atol=TOLERANCE):
            raise case.fail("torch.export must keep the batch dynamic and the outputs the same", f"others for rows {rows}")


_CHECKS = (
    _check_json,
    _check_seeds,
    _check_outputs,
    _check_unseen_codes,
    _check_gradients,
    _check_dropout,
    _check_evaluation,
    _check_state,
)


def _batch(inputs: Inputs, *, hostile: bool = False) -> tuple[Tensor, ...]:
    """Return `ROWS` rows as the spec describes them; hostile ones mix in what no fit row had."""
    return _images(inputs, hostile=hostile) if isinstance(inputs, Image) else _rows(inputs, hostile=hostile)


def _images(inputs: Image, *, hostile: bool) -> tuple[Tensor]:
    generator = torch.Generator().manual_seed(0)
    noise = torch.rand(ROWS, inputs.channels, inputs.height, inputs.width, generator=generator)
    images = noise * 255 if inputs.dtype == "uint8" else (noise - 0.5) * 3.4
    if hostile:
        images[2] = 0.0
        for row in range(3, ROWS):
            images[row].view(-1)[row % 2 :: 2] = HOSTILE_NUMBERS[row % len(HOSTILE_NUMBERS)]
    return (images.contiguous(memory_format=torch.channels_last),)


def _rows(inputs: Table, *, hostile: bool) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    numeric = torch.zeros(ROWS, len(inputs.numeric))
    categorical = torch.zeros(ROWS, len(inputs.categorical), dtype=torch.int64)
    for i, number in enumerate(inputs.numeric):
        ranks = torch.randint(len(number.quantiles), (ROWS,), generator=generator)
        numeric[:, i] = torch.tensor(number.quantiles)[ranks]
        numeric[torch.rand(ROWS, generator=generator) < number.missing, i] = float("nan")
    for i, code in enumerate(inputs.categorical):
        categorical[:, i] = torch.randint(len(code.counts), (ROWS,), generator=generator)
    if hostile:
        for row in range(2, ROWS):
            for i in range(len(inputs.numeric)):
                numeric[row, i] = HOSTILE_NUMBERS[(row + i) % len(HOSTILE_NUMBERS)]
            for i in range(len(inputs.categorical)):
                categorical[row, i] = HOSTILE_CODES[(row + i) % len(HOSTILE_CODES)]
    return numeric, categorical
