"""Each family for tables, sequences and texts is searched, exported, loaded again, and the same in ONNX at sizes never seen."""

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import automl
from search_spaces.configuration import FAMILIES, serves
from search_spaces.made_up import INPUTS, OUTPUTS

ROWS = 120
RNG = np.random.default_rng(0)
WORDS = np.array(["red", "blue", "car", "house", "tree", "sky", "run", "walk", "fast", "slow"])
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(2, 15))) for _ in range(ROWS)]
ANSWERS = np.array(["yes" if "red" in text.split() else "no" for text in TEXTS])
TABLE = pd.DataFrame(RNG.normal(size=(ROWS, 3)), columns=list("abc")).assign(d=RNG.choice(list("xyz"), ROWS), y=ANSWERS)
SEQUENCES = [RNG.normal(size=(RNG.integers(5, 30), 2)).astype(np.float32) for _ in range(ROWS)]
QUICK = {"n_trials": 1, "epochs": 1, "folds": 1, "workers": 1, "executor": "inline", "verbose": False, "baselines": False}
DATA = {  # what is learnt from, its target, and new rows; a spec of the same kind
    "both": (TABLE, "y", TABLE.drop(columns="y").head(5)),
    "texts": ((TEXTS, ANSWERS), None, ["red car", "blue " * 40, "house"]),
    "texts beside columns": (TABLE.assign(t=TEXTS), "y", TABLE.assign(t=TEXTS).drop(columns="y").head(5)),
    "ragged sequences": ((SEQUENCES, ANSWERS), None, [SEQUENCES[0], np.tile(SEQUENCES[1], (9, 1)), SEQUENCES[2][:1]]),
}
CASES = [
    pytest.param(family, name, id=f"{family.__name__}, {name}")
    for name in DATA
    for family in FAMILIES
    if serves(family, INPUTS[name], OUTPUTS["binary"])
]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "name"), CASES)
def test_every_family_trains_exports_and_loads(family, name, tmp_path):
    data, target, new = DATA[name]
    best = automl.search(data, target=target, families=[family], out=tmp_path / "run", **QUICK).best
    assert {type(member.architecture) for member in best.members} == {family}
    loaded = automl.load(best.export(tmp_path / "model"))
    expected = loaded.predict_proba(new)
    np.testing.assert_array_equal(expected, best.predict_proba(new))
    session = onnxruntime.InferenceSession(tmp_path / "model" / "model.onnx")
    wanted = {entry.name for entry in session.get_inputs()}
    stored = zip(loaded.members[0].inputs.tensors, loaded.encoder.transform(new), strict=True)
    feed = {tensor: array.astype(np.int64) if array.dtype == np.int32 else array for tensor, array in stored if tensor in wanted}
    np.testing.assert_allclose(session.run(None, feed)[0], expected, atol=1e-5)
