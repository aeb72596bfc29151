"""Wrong uses of the language: a type checker must refuse exactly the lines that say so."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod

from search_spaces import Architecture, Choice, Float, Int, OneOf, Repeat, Searchable, Space
from search_spaces.domains import Leaf, Scalar
from search_spaces.variation import mutate, replay, sample


class Block(Searchable, ABC):
    @abstractmethod
    def build(self) -> int: ...


class Plain(Block):
    width: int = Int(16, 512)

    def build(self) -> int:
        return self.width


class Residual(Block):
    width: int = Int(16, 512)

    def build(self) -> int:
        return self.width


class Net(Searchable):
    activation: str = Choice("relu", "gelu")
    clip: float | None = Choice(None, 1.0)
    blocks: tuple[Block, ...] = Repeat(OneOf(Plain, Residual), 1, 4)


class Wrong(Searchable):
    depth: str = Int(1, 3)  # expect error
    width: int = Float(1.0, 3.0)  # expect error
    act: int = Choice("a", "b")  # expect error
    block: Plain = OneOf(Plain, Residual)  # expect error
    blocks: tuple[Plain, ...] = Repeat(OneOf(Plain, Residual), 1, 2)  # expect error
    loose: Block = Repeat(OneOf(Plain), 1, 2)  # expect error
    low: int = Int("1", 3)  # expect error
    positional: int = Int(1, 3, True)  # expect error
    no_family: int = OneOf(int)  # expect error
    usual: Plain = OneOf(Plain, default=Residual())  # expect error
    half: str = Choice("a", "b", default=3)  # expect error


class Unbuilt(Architecture):
    width: int = Int(1, 3)


def text(_: str, leaf: Leaf) -> Scalar:
    return leaf  # expect error


net = Net(activation="relu")
rng = random.Random(0)
Net(activation=3)  # expect error
Net(activaton="relu")  # expect error
Net("relu")  # expect error
Net(blocks=[Plain()])  # expect error
Net(blocks=(Net(),))  # expect error
Block()  # expect error
Unbuilt()  # expect error
net.activation = "gelu"  # expect error
number = net.clip + 1  # expect error
Space(net)  # expect error
Space(int)  # expect error
sample(Net, rng)  # expect error
sample(Space(Net))  # expect error
mutate(Space(Net), Plain(), rng)  # expect error
replay(Space(Net), net)  # expect error
Net.from_dict([])  # expect error
OneOf(Plain())  # expect error
