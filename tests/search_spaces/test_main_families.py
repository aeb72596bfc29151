"""Families defined in `__main__` must reach other processes: from scripts, notebooks and standard input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DEFINITIONS = """
import sys
from abc import ABC, abstractmethod
import cloudpickle
from search_spaces import Choice, Float, Int, OneOf, Repeat, Searchable, Space

class Block(Searchable, ABC):
    @abstractmethod
    def build(self): ...

class Plain(Block):
    width: int = Int(16, 512, log=True)
    def build(self): return self.width

class Net(Searchable):
    flag: object = Choice(True, 1)
    blocks: tuple[Block, ...] = Repeat(OneOf(Block, default=Plain()), 1, 3)

net = Net(flag=1, blocks=(Plain(width=64), Plain()))
space = Space(Net, {"blocks/*": OneOf(Plain), "*/width": Int(32, 64)})
with open(sys.argv[1], "wb") as file:
    cloudpickle.dump((Net, Plain, net, space), file)
"""
USES = """
import dataclasses, json, random, sys
import cloudpickle
from search_spaces import Infeasible, SpaceError
from search_spaces.domains import Options
from search_spaces.variation import crossover, mutate, rearrange, replay, sample

with open(sys.argv[1], "rb") as file:
    Net, Plain, net, space = cloudpickle.load(file)
assert Net.__module__ == "__main__"
assert net == Net(flag=1, blocks=(Plain(width=64), Plain()))
assert net != Net(flag=True, blocks=net.blocks)
assert hash(net) == hash(dataclasses.replace(net))
assert Net.from_dict(json.loads(json.dumps(net.to_dict())), (Plain,)) == net
assert [field.name for field in dataclasses.fields(net)] == ["flag", "blocks"]
assert isinstance(Net.domains["flag"], Options) and Net.domains["blocks"].item.is_open
rng = random.Random(0)
for _ in range(50):
    a, b = sample(space, rng), sample(space, rng)
    for child in (mutate(space, a, rng), rearrange(space, a, rng), crossover(space, a, b, rng)):
        space.check(child)
        assert replay(space, dict(child.decisions())) == child
for change, error in ((lambda: setattr(net, "flag", True), AttributeError), (lambda: Net(flag=2), SpaceError)):
    try:
        change()
    except error:
        continue
    raise AssertionError(error)
print("as before")
"""


def test_families_of_main_travel_by_cloudpickle(tmp_path):
    pickled = tmp_path / "families"
    for script in (DEFINITIONS, USES):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-", str(pickled)],
            input=script,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stderr
    assert done.stdout == "as before\n"
