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
from search_spaces.made_up import INPUTS, OUTPUTS, ROWS, agree, made_up_batch, padded
from search_spaces.spec import Inputs, Mixed, Outputs, Table, Text, as_table
from search_spaces.variation import sample

__all__ = ["INPUTS", "OUTPUTS", "NotConforming", "check_family"]

_LONGER = (5, 8, 13)  # steps that are added to sequences where lengths must stay free
TOLERANCE = 1e-4  # between two ways to compute one output: kernels round differently for other batch sizes


class NotConforming(AssertionError):
    """A family breaks a promise; the message names the promise, the specs and the configuration."""


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

    inputs, outputs: of `INPUTS` and `OUTPUTS` those are tried that the family takes and gives, in pairs that make a task.

    Members survive JSON; the default is feasible; equal seeds build equal weights; outputs are finite, `(batch, width)`, whatever
    comes in (in training also `(batch, members, width)`, for losses of their own); codes never seen count as missing, tokens
    never seen as unknown; gradients are finite and reach every parameter; training draws only from the generator of
    `set_dropout_generator`; predictions depend on their own row alone, and not on padding; a state loads into a fresh network;
    `torch.export` keeps batch and length free (tried once for each kind of inputs). Raises `NotConforming` at the first breach.
    """
    exported: set[type] = set()
    suited = {name: spec for name, spec in INPUTS.items() if isinstance(spec, family.takes)} if inputs is None else inputs
    for case in _cases(family, suited, outputs, samples, seed):
        for check in _CHECKS:
            _guarded(case, check)
        if type(case.inputs) not in exported:
            _guarded(case, _check_export)
            exported.add(type(case.inputs))


def _cases(
    family: type[Architecture], inputs: Mapping[str, Inputs], outputs: Mapping[str, Outputs], samples: int, seed: int
) -> Iterator[_Case]:
    rng, narrow = random.Random(seed), getattr(family, "narrow", None)
    for inputs_name, table in inputs.items():
        for outputs_name, targets in outputs.items():
            if not (isinstance(targets, family.gives) and agree(table, targets)):
                continue
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
    batch = made_up_batch(case.inputs, hostile=True)
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
    if not isinstance(case.inputs, Table | Mixed):
        return
    network, (numeric, categorical, *rest) = case.network(), made_up_batch(case.inputs)
    for i, column in enumerate(as_table(case.inputs).categorical):
        unseen = [code for code, count in enumerate(column.counts) if count == 0 and code]
        known = categorical.clone()
        known[:, i] = 0
        missing = case.predict(network, (numeric, known, *rest))
        for code in (*unseen, len(column.counts), -1):
            known[:, i] = code
            if not torch.allclose(case.predict(network, (numeric, known, *rest)), missing, rtol=0, atol=TOLERANCE):
                came = f"another output for {code} in column {column.name!r}"
                raise case.fail("codes with count 0 or out of range must count as code 0", came)


def _check_unseen_tokens(case: _Case) -> None:
    if not isinstance(case.inputs, Text | Mixed):
        return
    text = case.inputs.text if isinstance(case.inputs, Mixed) else case.inputs
    network, (*columns, tokens) = case.network(), made_up_batch(case.inputs)
    tokens[..., 0] = 1
    unknown = case.predict(network, (*columns, tokens))
    for code in (*text.unseen, text.vocabulary, -1):
        tokens[..., 0] = code
        if not torch.allclose(case.predict(network, (*columns, tokens)), unknown, rtol=0, atol=TOLERANCE):
            raise case.fail("tokens unseen or out of range must count as code 1", f"another output for {code}")


def _check_gradients(case: _Case) -> None:
    network, batch = case.network().train(), made_up_batch(case.inputs, hostile=True)
    outputs, shape = network(*batch), (ROWS, case.outputs.width)
    if outputs.shape != shape and not (outputs.ndim == len(shape) + 1 and outputs[:, 0].shape == shape):
        raise case.fail("in training forward must return (batch, width) or (batch, members, width)", tuple(outputs.shape))
    (outputs.flatten(1) * torch.linspace(-1, 1, ROWS).unsqueeze(1)).sum().backward()
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
            seen.append(network(*made_up_batch(case.inputs)))
    if not torch.equal(*seen):
        raise case.fail(
            "training may draw only from the generator of set_dropout_generator (use search_spaces.layers.Dropout)",
            "outputs that depend on torch's global generator",
        )


def _check_evaluation(case: _Case) -> None:
    network, batch = case.network(), made_up_batch(case.inputs)
    whole = case.predict(network, batch, seed=1)
    if not torch.equal(case.predict(network, batch, seed=2), whole):
        raise case.fail("predictions must be the same each time", "outputs that differ from call to call")
    for rows in (slice(0, 1), slice(1, 2), slice(2, ROWS)):
        part = case.predict(network, tuple(tensor[rows] for tensor in batch))
        if not torch.allclose(part, whole[rows], rtol=TOLERANCE, atol=TOLERANCE):
            came = f"other outputs for rows {rows.start} to {rows.stop} alone"
            raise case.fail("a prediction must depend on its own row alone", came)


def _check_padding(case: _Case) -> None:
    network, batch = case.network(), made_up_batch(case.inputs)
    if not torch.allclose(
        case.predict(network, padded(case.inputs, batch, 3)), case.predict(network, batch), rtol=TOLERANCE, atol=TOLERANCE
    ):
        raise case.fail("what stands behind a row's end must change no prediction", "other outputs with more padding")


def _check_state(case: _Case) -> None:
    trained, fresh, batch = case.network(1), case.network(2), made_up_batch(case.inputs)
    trained.train()(*batch)
    fresh.load_state_dict(trained.state_dict())
    if not torch.equal(case.predict(trained, batch), case.predict(fresh, batch)):
        raise case.fail("a state must hold all that predictions depend on", "other outputs from a fresh network with this state")


class _Called(nn.Module):
    """Torch wants to know how the arguments of `forward` are declared; here they are whatever comes."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, *tensors: Tensor) -> Tensor:
        out: Tensor = self.network(*tensors)
        return out


def _check_export(case: _Case) -> None:
    network, batch = case.network().eval(), made_up_batch(case.inputs)
    shapes = tuple(dict.fromkeys(free, torch.export.Dim.DYNAMIC) for free in case.inputs.free)
    longer = padded(case.inputs, batch, _LONGER[1])  # torch takes an axis of one for a constant
    program = torch.export.export(_Called(network), longer, dynamic_shapes=(shapes,))
    for rows, steps in zip((slice(0, 5), slice(5, 8)), (_LONGER[0], _LONGER[2]), strict=True):
        part = padded(case.inputs, tuple(tensor[rows] for tensor in batch), steps)
        with torch.no_grad():
            outputs = program.module()(*part)
        if not torch.allclose(outputs, case.predict(network, part), rtol=TOLERANCE, atol=TOLERANCE):
            raise case.fail("torch.export must keep batch and length free and the outputs the same", f"others for rows {rows}")


_CHECKS = (
    _check_json,
    _check_seeds,
    _check_outputs,
    _check_unseen_codes,
    _check_unseen_tokens,
    _check_gradients,
    _check_dropout,
    _check_evaluation,
    _check_padding,
    _check_state,
)
