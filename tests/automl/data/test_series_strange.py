"""Strange sequences, and what each gives: values of some shape with some lengths, perhaps a notice, or one error that helps."""

import datetime as dt
import re

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import TensorDataset

from automl.data.options import DataOptions
from automl.data.series_load import Series
from automl.data.sources import load_data
from automl.errors import DataError, OptionError

NAN = np.nan
Y = ["a", "b"] * 6  # of 12 sequences
SERIES = {"inputs": "sequences"}
LONG = {"id_column": "id", "time": "t", "target": "y"}


def noise(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def ragged(*lengths, channels=0):
    """Return a list of 12 sequences, of these lengths by turns."""
    return [noise(lengths[i % len(lengths)], *([channels] if channels else [])) for i in range(12)]


def ending(array, *lengths):
    """Return an array whose sequences end with NaN behind these lengths, by turns."""
    array = array.copy()
    for row in range(len(array)):
        array[row, lengths[row % len(lengths)] :] = NAN
    return array


def steps(sequences=12, **columns):
    """Return a table of 5 steps of each sequence, ids from "s0", the steps of all sequences one by one, and further columns."""
    count, last = np.arange(5).repeat(sequences), np.tile(np.arange(sequences), 5)
    frame = pd.DataFrame({"id": [f"s{i}" for i in last], "t": count, "v": noise(5 * sequences), "y": np.array(Y)[last % 12]})
    return frame.assign(**columns)


def with_hole(frame, column, row, value):
    """Return a table with another value in a cell."""
    frame = frame.astype({column: object})
    frame.loc[row, column] = value
    return frame


def shaped(*shape, lengths=None, says="", options=None):
    """What is expected: the shape of values, the lengths by turns (None: all are full), words of a notice or reason."""
    return shape, lengths, says, options or {}


# what comes: what it gives, or the words of the error; options of the search where there are any
STRANGE = {
    # arrays
    "three axes": ((noise(12, 20, 3), Y), shaped(12, 20, 3)),
    "one channel": ((noise(12, 20, 1), Y), shaped(12, 20, 1)),
    "a matrix, said to be sequences": ((noise(12, 20), Y), shaped(12, 20, 1, options=SERIES)),
    "bytes, said to be sequences": ((np.ones((12, 20, 16), np.uint8), Y), shaped(12, 20, 16, options=SERIES)),
    "whole numbers, said to be sequences": ((np.ones((12, 20, 2), int), Y), shaped(12, 20, 2, options=SERIES)),
    "truth values": ((noise(12, 20, 2) > 0, Y), shaped(12, 20, 2, options=SERIES)),
    "half precision": ((noise(12, 20, 2).astype(np.float16), Y), shaped(12, 20, 2)),
    "a masked array": ((np.ma.masked_greater(noise(12, 20, 2), 2.0), Y), shaped(12, 20, 2)),
    "a tensor that learns": ((torch.tensor(noise(12, 20, 2), requires_grad=True), Y), shaped(12, 20, 2)),
    "bfloat16": ((torch.tensor(noise(12, 20, 2)).bfloat16(), Y), shaped(12, 20, 2)),
    "more channels than steps": ((noise(12, 3, 20), Y), shaped(12, 3, 20, says=r"X\.transpose\(0, 2, 1\)")),
    "channels first, a single one": ((noise(12, 1, 30), Y), shaped(12, 30, 1, says=r"taken as \(n, channels, steps\)")),
    "single steps, said by their lengths": (((noise(12, 1, 3), [1] * 12), Y), shaped(12, 1, 3)),
    "four axes, said to be sequences": (
        (noise(12, 20, 3, 2), Y),
        (r"must be sequences.*got an array of shape \(12, 20, 3, 2\)", SERIES),
    ),
    "text": (([["a", "b"]] * 12, Y), (r"must be sequences: an array \(n, steps\[, channels\]\)", SERIES)),
    "ids of arrays": ((noise(12, 20, 3), Y), ("id_column must be left out for arrays", {"id_column": "id"})),
    "to be rebuilt": ((noise(12, 20, 3), Y), ("reconstruction is for tables and images alone", {"kind": "reconstruction"})),
    "no labels": (noise(12, 20, 3), r"sequences need their labels beside them.*give \(X, y\)"),
    "too few labels": ((noise(12, 20, 3), Y[1:]), "got 12 sequences and 11 labels"),
    "no sequences": ((noise(0, 20, 3), []), ("must have rows, got none|must be sequences", SERIES)),
    "labels that are missing": ((noise(12, 20, 3), [None, *Y[1:]]), shaped(11, 20, 3, says="1 of 12 sequences have no target")),
    # padding and what is missing
    "NaN behind the end": ((ending(noise(12, 20, 2), 20, 5), Y), shaped(12, 20, 2, lengths=(20, 5))),
    "NaN behind the end of all": ((ending(noise(12, 20, 2), 8, 5), Y), shaped(12, 8, 2, lengths=(8, 5))),
    "NaN behind the end in one channel": ((np.dstack([ending(noise(12, 20), 5), noise(12, 20)]), Y), shaped(12, 20, 2)),
    "a step of NaN in the middle": ((np.insert(noise(12, 19, 2), 7, NAN, axis=1), Y), shaped(12, 20, 2)),
    "NaN in front": ((np.insert(noise(12, 19, 2), 0, NAN, axis=1), Y), shaped(12, 20, 2, says="12 of 12 sequences begin with")),
    "NaN in what looks like images": ((ending(noise(12, 16, 16), 16, 5), Y), shaped(12, 16, 16, lengths=(16, 5))),
    "zeros behind the end": (
        (np.nan_to_num(ending(noise(12, 20, 2), 20, 5)), Y),
        shaped(12, 20, 2, says=r"6 of 12 sequences end with zeros.*\(\(X, lengths\), y\)"),
    ),
    "a sequence of NaN alone": (
        (np.vstack([noise(11, 20, 2), np.full((1, 20, 2), NAN)]), Y),
        ("sequence 11 must have a step, but it is empty or NaN alone", SERIES),
    ),
    "infinite values": ((np.where(noise(12, 20, 2) > 2, np.inf, noise(12, 20, 2)), Y), shaped(12, 20, 2)),
    # lengths
    "lengths beside": (((noise(12, 20, 2), [20, 5] * 6), Y), shaped(12, 20, 2, lengths=(20, 5))),
    "lengths beside a matrix": (((noise(12, 20), np.array([20.0, 5.0] * 6)), Y), shaped(12, 20, 1, lengths=(20, 5))),
    "lengths by name": (({"x": noise(12, 20, 2), "lengths": [9, 5] * 6}, Y), shaped(12, 9, 2, lengths=(9, 5))),
    "everything by name": ({"x": noise(12, 20, 2), "len": [9, 5] * 6, "y": Y}, shaped(12, 9, 2, lengths=(9, 5))),
    "a length of 0": (((noise(12, 20, 2), [0, *[5] * 11]), Y), "sequence 0 must have a step"),
    "lengths beyond the end": (({"x": noise(12, 20, 2), "len": [21] * 12}, Y), "at most 20, got 21 for sequence 0"),
    "lengths of other rows": (({"x": noise(12, 20, 2), "len": [9] * 11}, Y), r"one for each of the 12 sequences, got .*\(11,\)"),
    # lists
    "arrays of different lengths": ((ragged(4, 9), Y), shaped(12, 9, 1, lengths=(4, 9))),
    "several channels": ((ragged(4, 9, channels=3), Y), shaped(12, 9, 3, lengths=(4, 9))),
    "lists of numbers": (([array.tolist() for array in ragged(4, 9)], Y), shaped(12, 9, 1, lengths=(4, 9))),
    "lists of steps": (([array.tolist() for array in ragged(4, 9, channels=3)], Y), shaped(12, 9, 3, lengths=(4, 9))),
    "None among numbers": (([[1.0, None, 2.0], [1.0]] * 6, Y), shaped(12, 3, 1, lengths=(3, 1))),
    "tensors": (([*map(torch.tensor, ragged(4, 9))], Y), shaped(12, 9, 1, lengths=(4, 9))),
    "frames": (([pd.DataFrame(array) for array in ragged(4, 9, channels=2)], Y), shaped(12, 9, 2, lengths=(4, 9))),
    "an array of arrays": ((np.array([*ragged(4, 9), None], object)[:-1], Y), shaped(12, 9, 1, lengths=(4, 9))),
    "a Series of arrays": ((pd.Series(ragged(4, 9)), Y), shaped(12, 9, 1, lengths=(4, 9))),
    "of one length": (([noise(20, 3) for _ in Y], Y), shaped(12, 20, 3)),
    "that end with NaN": (
        ([*ragged(4, 9)[:-1], np.array([1.0, NAN, 2.0, NAN])], Y),
        shaped(12, 9, 1, lengths=(4, 9) * 5 + (4, 3)),
    ),
    "different channels": (([noise(4, 2), noise(4, 3)] * 6, Y), ("sequence 0 has 2 and sequence 1 has 3", SERIES)),
    "different channels, unsaid": (([noise(14, 2), noise(12, 3)] * 6, Y), "sequence 0 has 2 and sequence 1 has 3"),
    "tensors of different channels": (([*map(torch.tensor, [noise(14, 2), noise(12, 3)] * 6)], Y), "sequence 0 has 2 and"),
    "an empty sequence": (([*ragged(4, 9)[:-1], np.zeros(0)], Y), "sequence 11 must have a step"),
    "(x, lengths, y) as a TensorDataset": (
        TensorDataset(torch.tensor(noise(12, 20, 2)), torch.tensor([20, 5] * 6), torch.arange(12) % 2),
        shaped(12, 20, 2, lengths=(20, 5)),
    ),
    # tables with a row for each step
    "steps of sequences by turns": (steps(), shaped(12, 5, 1, options=LONG)),
    "without times": (steps(), shaped(12, 5, 2, options={**LONG, "time": None})),
    "times in disorder": (steps().sample(frac=1, random_state=0), shaped(12, 5, 1, options=LONG)),
    "times that are dates": (steps(t=[f"2024-01-{1 + i:02}" for i in np.arange(5).repeat(12)]), shaped(12, 5, 1, options=LONG)),
    "times that are not equally far apart": (
        steps(t=[dt.datetime(2024, 1, 1, int(i) ** 2, tzinfo=dt.UTC) for i in np.arange(5).repeat(12)]),
        shaped(12, 5, 2, says="t: its times are not equally far apart", options=LONG),
    ),
    "times twice": (
        steps(t=np.minimum(np.arange(5), 3).repeat(12)),
        shaped(12, 5, 2, says="12 rows have the 't' of", options=LONG),
    ),
    "a time that is missing": (with_hole(steps(), "t", 13, None), ("time_column must h.*", LONG)),
    "an id that is missing": (
        with_hole(steps(), "id", 13, None),
        (r"id_column 'id' must have a value.*\(the first is row 13\)", LONG),
    ),
    "ids that are numbers": (steps(id=np.tile(np.arange(12) * 1.0, 5)), shaped(12, 5, 1, options=LONG)),
    "one row for each id": (steps()[:12], shaped(12, 1, 1, options=LONG)),
    "words and truth values": (
        steps(w=["p", "q", "q"] * 20, b=[True, False] * 30),
        shaped(12, 5, 4, says="v.*w=p", options=LONG),
    ),
    "sentences": (steps(w=[f"text number {i}" for i in range(60)]), shaped(12, 5, 1, says="w: text, set aside", options=LONG)),
    "missing values": (with_hole(steps(), "v", 13, None), shaped(12, 5, 1, options=LONG)),
    "a target that changes": (
        with_hole(steps(), "y", 13, "a"),
        ("target 'y' must be the same in all steps of a sequence, but 's1' has 'b' and 'a'", LONG),
    ),
    "a target in the first step alone": (
        steps().assign(y=lambda frame: frame["y"].where(frame["t"] == 0)),
        shaped(12, 5, 1, options=LONG),
    ),
    "no target at all in a sequence": (
        steps().assign(y=lambda frame: frame["y"].where(frame["id"] != "s3")),
        shaped(11, 5, 1, says="1 of 12 sequences have no target 'y'", options=LONG),
    ),
    "labels beside, one for each id": ((steps().drop(columns="y"), Y), shaped(12, 5, 1, options={**LONG, "target": None})),
    "an id that is the target": (
        steps(),
        ("id_column must be a column of its own, but 'y' is named twice", {**LONG, "id_column": "y"}),
    ),
    "no such id": (steps(), ("id_column must name a column .*got 'Id'; did you mean 'id'", {**LONG, "id_column": "Id"})),
    "nothing but ids": (steps()[["id", "t", "y"]], ("must have a column beside 'id'", LONG)),
    # tables with a row for each sequence
    "columns are steps": (
        pd.DataFrame(noise(12, 9)).add_prefix("t").assign(y=Y),
        shaped(12, 9, 1, options={**SERIES, "target": "y"}),
    ),
    "columns of words": (
        pd.DataFrame(noise(12, 9)).add_prefix("t").assign(y=Y, w="x"),
        (
            "are the steps of sequences and must be numbers, but column 'w' has 'x' in row 0.*id_column=",
            {**SERIES, "target": "y"},
        ),
    ),
}


@pytest.mark.parametrize(("data", "outcome"), STRANGE.values(), ids=STRANGE.keys())
def test_strange_sequences(data, outcome):
    words, options = outcome if isinstance(outcome, tuple) and len(outcome) == 2 else (outcome, {})
    if isinstance(words, str):
        with pytest.raises((DataError, OptionError), match=words):
            load_data(data, DataOptions(**options))
        return
    shape, lengths, says, options = outcome
    loaded = load_data(data, DataOptions(**options))
    assert isinstance(loaded.ready, Series)
    values, ends = loaded.ready.features
    assert (values.shape, values.dtype, ends.dtype) == (shape, np.float32, np.int64)
    expected = (shape[1],) if lengths is None else lengths
    assert ends.tolist() == [expected[i % len(expected)] for i in range(shape[0])]
    assert len(loaded.target) == len(loaded.frame) == len(loaded.rows) == shape[0]
    assert not np.isinf(values).any()
    assert (values[np.arange(shape[1]) >= ends[:, None]] == 0).all()
    lines = [*loaded.notices, *loaded.reasons]
    assert any(re.search(says, line) for line in lines), lines
    assert says or not loaded.notices


NO_SEQUENCES = {
    "a matrix": (noise(12, 20), Y),
    "rows of a table": ([[1.0, 2.0], [3.0, 4.0]] * 6, Y),
    "bytes": (np.ones((12, 20, 3), np.uint8), Y),
    "what looks like images": (noise(12, 16, 20), Y),
    "images of several sizes": ([np.ones((8 + i % 2, 9), np.uint8) for i in range(12)], Y),
    "images of floats of several sizes": ([noise(8 + i % 2, 9 + i % 3) for i in range(12)], Y),
    "colours": (noise(12, 9, 40, 3), Y),
    "columns by name": ({"x": [1.0] * 12, "len": [3] * 12, "label": Y}, None),
    "a table": (steps(), None),
}


@pytest.mark.parametrize("data", NO_SEQUENCES.values(), ids=NO_SEQUENCES.keys())
def test_nothing_else_is_taken_for_sequences(data):
    data, target = (data, None) if data[1] is not None else (data[0], "label" if isinstance(data[0], dict) else "y")
    assert not isinstance(load_data(data, DataOptions(target=target)).ready, Series)


def test_what_looks_like_images_says_how_it_becomes_sequences():
    loaded = load_data((noise(12, 16, 20), Y), DataOptions())
    assert any("inputs='sequences' takes it as 16 steps of 20 channels" in line for line in loaded.notices)
    assert isinstance(load_data((noise(12, 16, 20), Y), DataOptions(inputs="sequences")).ready, Series)
    assert not isinstance(load_data((noise(12, 9, 40), Y), DataOptions(inputs="images")).ready, Series)
