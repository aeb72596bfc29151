"""The kit names the promise that a family breaks: one broken family for each."""

import random
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from search_spaces.language import Architecture, Choice, Infeasible, Int
from search_spaces.linear import Linear
from search_spaces.spec import Inputs, Outputs, Text
from search_spaces.testing import INPUTS, NotConforming, check_family


class Body(nn.Module):
    """A correct network, to be broken by a subclass."""

    def __init__(self, inputs: Inputs, outputs: Outputs) -> None:
        super().__init__()
        self.inner = Linear().build(inputs, outputs)

    def forward(self, numeric: Tensor, categorical: Tensor) -> Tensor:
        return self.change(self.inner(numeric, categorical), numeric, categorical)

    def change(self, out: Tensor, numeric: Tensor, categorical: Tensor) -> Tensor:
        return out


def family_of(body: type[Body]) -> type[Architecture]:
    class Family(Architecture):
        width: int = Int(1, 3)

        def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
            return body(inputs, outputs)

    return Family


class Narrow(Body):
    def change(self, out, *_):
        return out[:, :1]


class Fragile(Body):
    def change(self, out, numeric, _):
        return out + numeric.sum(1, keepdim=True)


class Meddling(Body):
    def change(self, out, numeric, _):
        numeric.clamp_(-0.5, 0.5)
        return out


class Unseeing(Body):
    def change(self, out, _, categorical):
        return out + categorical.clamp(-1, 100).sum(1, keepdim=True)


class Deaf(Body):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.unused = nn.Parameter(torch.zeros(1))


class Steep(Body):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.power = nn.Parameter(torch.zeros(1))

    def change(self, out, *_):
        return out + self.power.abs().sqrt()


class Shaky(Body):
    def change(self, out, *_):
        return nn.functional.dropout(out, 0.5, training=self.training)


class Guessing(Body):
    def change(self, out, *_):
        return out if self.training else out + torch.randn(1)


class Sociable(Body):
    def change(self, out, *_):
        return out + (0 if self.training else out.mean(0))


class Forgetful(Body):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        self.noise = torch.randn(1)

    def change(self, out, *_):
        return out + self.noise


class Branching(Body):
    def change(self, out, *_):
        return out if out.sum() > 0 else out + 0.0


class Raising(Body):
    def change(self, out, *_):
        raise KeyError("lost")


class Rebuilt(Body):
    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs)
        with torch.no_grad():
            self.inner.linear.bias.add_(random.random())


BROKEN = {
    Narrow: r"forward must return float32 \(batch, width\)",
    Fragile: "outputs must be finite",
    Meddling: "forward must not change its inputs",
    Unseeing: "must count as code 0",
    Deaf: "gradients must reach every parameter that requires them; came: none for 'unused'",
    Steep: "gradients must be finite",
    Shaky: "use search_spaces.layers.Dropout",
    Guessing: "predictions must be the same each time",
    Sociable: "a prediction must depend on its own row alone",
    Forgetful: "a state must hold all that predictions depend on",
    Branching: r"nothing may raise \(while checking: export\)",
    Raising: r"nothing may raise \(while checking: outputs\); came: KeyError\('lost'\)",
    Rebuilt: "equal seeds must give equal weights",
}


def test_a_sound_family_passes():
    check_family(family_of(Body), samples=1)


@pytest.mark.parametrize("body", BROKEN)
def test_broken_promises_are_named(body):
    with pytest.raises(NotConforming, match=BROKEN[body]):
        check_family(family_of(body), {"both": INPUTS["both"]}, samples=0)


def test_the_message_says_where():
    with pytest.raises(NotConforming, match=r"specs: one code, binary; configuration: .*Family\(width=2\)"):
        check_family(family_of(Narrow), {"one code": INPUTS["one code"]}, samples=0)


class NoModule(Architecture):
    def build(self, inputs, outputs):
        return max


class NeverFeasible(Architecture):
    def build(self, inputs, outputs):
        raise Infeasible("too small a table")


class Crashing(Architecture):
    def build(self, inputs, outputs):
        raise ZeroDivisionError


class Lossy(Architecture):
    kind: str = Choice("a", "b")

    def build(self, inputs, outputs):
        return Body(inputs, outputs)

    def to_dict(self):
        return {"family": "Lossy", "kind": "b"}


class Overreading(Architecture):
    takes = (Text,)

    def build(self, inputs, outputs):
        return Linear().build(replace(inputs, unseen=()), outputs)


def test_tokens_that_no_fit_row_has_must_count_as_unknown():
    check_family(Overreading, {"texts": INPUTS["texts"]}, samples=0)
    with pytest.raises(NotConforming, match="must count as code 1; came: another output for 2; specs: unseen tokens"):
        check_family(Overreading, {"unseen tokens": INPUTS["unseen tokens"]}, samples=0)


class SometimesInfeasible(Architecture):
    kind: str = Choice("a", "b")

    def build(self, inputs, outputs):
        if self.kind == "b":
            raise Infeasible("b serves nothing")
        return Body(inputs, outputs)


@pytest.mark.parametrize(("family", "promise"), [
    (NoModule, "build must return a torch.nn.Module"),
    (NeverFeasible, "the default of the narrowed space must be feasible; came: too small a table"),
    (Crashing, "build must not raise"),
    (Lossy, "from_dict must return what to_dict wrote"),
])  # fmt: skip
def test_broken_families_are_named(family, promise):
    with pytest.raises(NotConforming, match=promise):
        check_family(family, {"both": INPUTS["both"]}, samples=0)


def test_samples_may_be_infeasible():
    check_family(SometimesInfeasible, {"numbers": INPUTS["numbers"]}, samples=6)
