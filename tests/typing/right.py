"""Right uses of the language: a type checker must accept every line."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections import Counter
from typing import TYPE_CHECKING, assert_type

from search_spaces import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable, Space
from search_spaces.domains import Leaf, Scalar
from search_spaces.spec import as_table
from search_spaces.storing import space_overrides_from_dict, space_overrides_to_dict
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

if TYPE_CHECKING:
    from torch import nn

    from search_spaces.spec import Inputs, Outputs


class Block(Searchable, ABC):
    @abstractmethod
    def build(self, width: int) -> int: ...


class Plain(Block):
    width: int = Int(16, 512, log=True, multiple_of=8, default=64)

    def build(self, width: int) -> int:
        return self.width


class Residual(Block):
    expansion: float = Float(1, 4)

    def build(self, width: int) -> int:
        return width


class Net(Architecture):
    activation: str = Choice("relu", "gelu", default="gelu")
    clip: float | None = Choice(None, 0.1, 1.0)
    bias: bool = Choice(True, False)
    head: Plain = OneOf(Plain, default=Plain(width=32))
    body: Block = OneOf(Block, default=Plain())
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 4, default=2)
    stages: tuple[tuple[int, ...], ...] = Repeat(Repeat(Int(1, 8), 1, 2), 1, 2)

    @staticmethod
    def narrow(inputs: Inputs, outputs: Outputs) -> dict[str, object]:
        return {"blocks/length": Int(1, outputs.width), "blocks/*": OneOf(Plain), "bias": len(as_table(inputs).numeric) > 0}

    def build(self, inputs: Inputs, outputs: Outputs) -> nn.Module:
        raise NotImplementedError


class Configuration(Searchable):
    architecture: Architecture = OneOf(Architecture, default=Net())


def middle(_: str, leaf: Leaf) -> Scalar:
    return leaf.from_unit(0.5)


net = Net(activation="relu", blocks=(Plain(width=64), Residual(expansion=2.0)), clip=None)
assert_type(net.blocks, tuple[Block, ...])
assert_type(net.activation, str)
assert_type(Net.from_dict(net.to_dict(), families=(Plain,)), Net)

space = Space(Net, {"blocks/length": Int(1, 2), "blocks/*/width": 64, "body": OneOf(Plain), "bias": True})
assert_type(space, Space[Net])
assert_type(space.draw(middle), Net)
assert_type(space.default(), Net)
assert_type(space.leaves(), dict[str, Leaf])

rng = random.Random(0)
refused: Counter[str] = Counter()
assert_type(sample(space, rng), Net)
assert_type(mutate(space, net, rng, refused), Net)
assert_type(rearrange(space, net, rng), Net)
assert_type(crossover(space, net, net, rng), Net)
assert_type(replay(space, dict(net.decisions())), Net)
again = Space(Net, space_overrides_from_dict(space_overrides_to_dict(space), Net, (Plain,)))
