"""Rows in, labels out: whatever form the rows have, however they are grouped, in the types that the labels had."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from automl.data.columns import Columns
from automl.data.kinds import detect_kinds
from automl.data.statistics import describe_table, describe_target
from automl.data.target import encode_target
from automl.errors import DataError, OptionError
from automl.member import Member
from automl.metrics import METRICS
from automl.predictor import Predictor
from automl.training.networks import build_network
from search_spaces.mlp import MLP, Plain

ROWS = 240
KINDS = {"text": "multiclass", "whole": "multiclass", "boolean": "binary", "number": "regression"}
TARGETS = {
    "text": lambda codes: pd.Series(np.array(["low", "middle", "high"])[codes]),
    "whole": lambda codes: pd.Series(np.array([10, 20, 30])[codes]),
    "boolean": lambda codes: pd.Series(codes > 0),
    "number": lambda codes: pd.Series(codes * 1e6 + np.arange(len(codes))),
}


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "size": rng.normal(size=ROWS),
            "town": pd.Series(rng.choice(["Bern", "Chur", "Genf"], ROWS), dtype="category"),
            "day": pd.date_range("2020-01-01", periods=ROWS, freq="37h"),
            "kept": rng.random(ROWS) < 0.5,
        }
    )
    frame.loc[::7, "size"] = np.nan
    return frame


def make(form: str, members: int = 1) -> Predictor:
    frame, target = table(), TARGETS[form](np.random.default_rng(1).integers(0, 3, ROWS)).rename("answer")
    columns = Columns.fit(frame, detect_kinds(frame))
    truth = encode_target(target, KINDS[form])
    encoded, rows = columns.transform(frame), np.arange(ROWS)
    inputs, outputs = describe_table(encoded, rows, columns), describe_target(truth.values, rows, truth.classes)
    architecture = MLP(blocks=(Plain(width=16),))
    networks = [build_network(architecture, inputs, outputs, seed).eval() for seed in range(members)]
    with torch.no_grad():
        for network in networks:
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())), alpha=0.5)
    everyone = tuple(Member(architecture, inputs, outputs, network) for network in networks)
    metric = "rmse" if KINDS[form] == "regression" else "accuracy"
    return Predictor(everyone, columns, KINDS[form], truth.classes, "answer", metric, {})


@pytest.mark.parametrize("form", ["text", "whole", "boolean"])
def test_labels_come_back_in_the_type_that_they_had(form) -> None:
    predictor, original = make(form), TARGETS[form](np.arange(3))
    predicted = predictor.predict(table())
    assert predicted.shape == (ROWS,)
    assert {(type(label), label) for label in predicted.tolist()} <= {(type(label), label) for label in original.tolist()}
    assert len(set(map(str, predicted))) > 1


def test_labels_of_several_types_stay_apart() -> None:
    labels = (1, "1", True)
    predicted = replace(make("text"), classes=labels).predict(table())
    assert {type(label) for label in predicted} <= {int, str, bool}
    assert len({type(label) for label in predicted}) > 1


def test_values_come_back_in_the_units_of_the_target() -> None:
    predictor = make("number", members=2)
    predicted = predictor.predict(table())
    assert predicted.dtype == np.float64
    assert predicted.std() > 1e4
    with pytest.raises(OptionError, match="predict_proba needs classes, but the target 'answer' is a number; call predict"):
        predictor.predict_proba(table())


def test_probabilities_are_those_of_classes_and_the_mean_over_members() -> None:
    predictor = make("text", members=3)
    probabilities = predictor.predict_proba(table())
    assert probabilities.shape == (ROWS, 3)
    assert np.allclose(probabilities.sum(1), 1)
    assert (np.array(predictor.classes)[probabilities.argmax(1)] == predictor.predict(table())).all()
    alone = [replace(predictor, members=(member,)) for member in predictor.members]
    assert np.allclose(probabilities, np.mean([each.predict_proba(table()) for each in alone], axis=0))


def test_any_form_of_the_same_rows_gives_the_same_predictions(tmp_path) -> None:
    predictor, frame = make("text"), table()
    expected = predictor.predict_proba(frame)
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")
    forms = [str(tmp_path / "rows.csv"), tmp_path / "rows.parquet", frame.to_dict("records"), frame.to_dict("list")]
    forms.append(frame[frame.columns[::-1]].assign(answer="low", more=1).set_index(np.arange(ROWS)[::-1]))
    for form in forms:
        assert np.allclose(predictor.predict_proba(form), expected, atol=1e-6)


@pytest.mark.parametrize("form", ["text", "number"])
def test_predictions_do_not_depend_on_the_grouping_of_rows(form) -> None:
    predictor, frame = make(form), table()
    together = predictor.predict_proba(frame) if predictor.classes else predictor.predict(frame)
    for size in (1, 7, 100):
        parts = [frame.iloc[start : start + size] for start in range(0, ROWS, size)]
        apart = [predictor.predict_proba(part) if predictor.classes else predictor.predict(part) for part in parts]
        assert np.abs(np.concatenate(apart) - together).max() <= 1e-5 * (1 if predictor.classes else together.std())


def test_no_rows_give_no_predictions() -> None:
    assert make("text").predict(table().iloc[:0]).shape == (0,)
    assert make("text").predict_proba(table().iloc[:0]).shape == (0, 3)
    assert make("number").predict(table().iloc[:0]).shape == (0,)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="town"):
        make("text").predict(table().drop(columns="town"))


@pytest.mark.parametrize("form", ["boolean", "text", "number"])
def test_evaluate_scores_all_that_suits_the_task_the_own_metric_first(form, tmp_path) -> None:
    predictor = make(form)
    target = TARGETS[form](np.random.default_rng(2).integers(0, 3, ROWS))
    scores = predictor.evaluate((table(), target))
    assert next(iter(scores)) == predictor.metric
    assert set(scores) == {metric.name for metric in METRICS.values() if predictor.kind in metric.kinds}
    if predictor.classes:
        assert scores["accuracy"] == pytest.approx((predictor.predict(table()) == target.to_numpy()).mean())
    table().assign(answer=target).to_csv(tmp_path / "test.csv", index=False)
    assert predictor.evaluate(tmp_path / "test.csv") == pytest.approx(scores, rel=1e-5)
    assert predictor.evaluate(table().assign(answer=target)) == pytest.approx(scores)


def test_evaluate_leaves_out_rows_without_a_target_and_refuses_unknown_labels() -> None:
    predictor, target = make("text"), pd.Series(["low", "high", None, "middle"])
    frame = table().iloc[:4]
    assert predictor.evaluate((frame, target)) == predictor.evaluate((frame.iloc[[0, 1, 3]], target[[0, 1, 3]]))
    with pytest.raises(DataError, match="classes of training"):
        predictor.evaluate((frame, ["low", "high", "huge", "low"]))


def test_repr_says_what_it_is() -> None:
    assert repr(make("text", members=2)) == "Predictor(2 x MLP, multiclass, target='answer', columns=4)"
