import gc
import weakref

import numpy as np
import pytest
import torch
from torch import nn

from automl.training.feed import feed_of
from automl.training.memory import cut, memory_of, ran_out_of_memory, with_fewer_rows
from automl.training.networks import CPU, NetworkFault, predict
from search_spaces.spec import Values


def test_want_of_memory_is_recognised_wherever_it_stands_in_the_chain():
    with pytest.raises(RuntimeError) as full:
        torch.empty(2**50)
    assert ran_out_of_memory(full.value)
    assert ran_out_of_memory(MemoryError())
    assert not ran_out_of_memory(RuntimeError("shapes differ"))
    outer = ValueError("outer")
    outer.__cause__ = torch.OutOfMemoryError()
    assert ran_out_of_memory(outer)


def room_for(most, tried):
    def attempt(rows):
        tried.append(rows)
        if rows > most:
            raise torch.OutOfMemoryError(f"no room for {rows}")
        return "done"

    return attempt


def test_rows_are_halved_until_there_is_room():
    tried = []
    assert with_fewer_rows(room_for(10, tried), 33, CPU) == ("done", 9)
    assert tried == [33, 17, 9]
    assert with_fewer_rows(room_for(10, tried), 10, CPU) == ("done", 10)


def test_no_room_for_a_single_row_is_the_end():
    tried = []
    with pytest.raises(MemoryError, match="with a single row at a time: no room for 1"):
        with_fewer_rows(room_for(0, tried), 5, CPU)
    assert tried == [5, 3, 2, 1]


def test_other_mistakes_are_not_tried_again():
    def mistaken(rows):
        raise ValueError(f"a mistake with {rows} rows")

    with pytest.raises(ValueError, match="with 8 rows"):
        with_fewer_rows(mistaken, 8, CPU)


def test_nothing_of_an_attempt_is_left_when_the_next_one_begins():
    left = []

    def attempt(rows):
        assert [tensor() for tensor in left] == [None] * len(left)
        held = torch.zeros(rows, requires_grad=True).exp()
        cycle = [held]  # as a family's code may make one
        cycle.append(cycle)
        left.append(weakref.ref(held))
        if rows > 2:
            raise NetworkFault("no room") from MemoryError()
        return rows

    gc.disable()
    try:
        assert with_fewer_rows(attempt, 8, CPU) == (2, 2)
    finally:
        gc.enable()
    assert len(left) == 3


def test_parts_are_even_and_hold_each_row_once():
    for rows in range(1, 40):
        for most in range(1, 45):
            sizes = [len(part) for part in cut(torch.arange(rows), most)]
            assert sum(sizes) == rows
            assert max(sizes) <= most
            assert max(sizes) - min(sizes) <= 1
    assert torch.equal(torch.cat(cut(torch.arange(33), 10)), torch.arange(33))


def test_a_host_has_memory():
    assert memory_of(CPU) > 2**28


class Hungry(nn.Module):
    """Adds up its rows, as many at a time as there is room for."""

    def __init__(self, most):
        super().__init__()
        self.most = most
        self.seen = []

    def forward(self, x):
        self.seen.append(len(x))
        if len(x) > self.most:
            raise torch.OutOfMemoryError(f"no room for {len(x)}")
        return x.sum(1, keepdim=True)


def test_predictions_are_those_of_whole_blocks_and_no_later_block_is_tried_whole():
    features = (np.arange(7500, dtype=np.float32).reshape(2500, 3) / 7500,)
    outputs, feed = Values(mean=0.0, std=1.0), feed_of(features, None, CPU)
    hungry, whole = Hungry(most=300), Hungry(most=5000)
    np.testing.assert_array_equal(predict(hungry, feed, outputs), predict(whole, feed, outputs))
    assert whole.seen == [1024, 1024, 452]
    assert hungry.seen == [1024, 512, *[256] * 8, *[226] * 2]
    with pytest.raises(MemoryError, match=r"with a single row at a time: Hungry.forward raised OutOfMemoryError: no room for 1"):
        predict(Hungry(most=0), feed, outputs)
