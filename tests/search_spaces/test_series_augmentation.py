"""Sequences are changed as documented, within their steps, by the generator given alone."""

import pytest
import torch

from search_spaces.language import Space
from search_spaces.made_up import made_up_batch
from search_spaces.series_augmentation import SeriesAugmentation
from search_spaces.spec import NumericColumn, TimeSeries
from search_spaces.testing import INPUTS, OUTPUTS

NOTHING = {"warping": 0.0, "shift": 0.0, "scaling": 0.0, "jitter": 0.0, "left_out": 0.0, "mixup": 0.0}
CHANGES = [{"warping": 0.8}, {"shift": 0.5}, {"scaling": 0.3}, {"jitter": 0.2}, {"left_out": 0.8}, {"mixup": 1.0}]
EVERYTHING = {name: value for change in CHANGES for name, value in change.items()}
SPEC = TimeSeries((NumericColumn("a", 2.0, 3.0, (0.0, 9.0), 0.0), NumericColumn("b", 0.0, 1.0, (0.0, 9.0), 0.1)), 30, 1, 100)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    values = torch.stack([torch.arange(30.0), torch.arange(30.0) * 10], 1).expand(20, -1, -1).clone()
    return values, torch.arange(1, 21) + 10


def apart() -> tuple[torch.Tensor, torch.Tensor]:
    values, lengths = batch()
    return values * torch.arange(1, 21).view(-1, 1, 1), lengths


def changed(fields, features=None, inputs=SPEC, seed: int = 0):
    return SeriesAugmentation(**{**NOTHING, **fields}).apply(
        batch() if features is None else features, inputs, torch.Generator().manual_seed(seed)
    )


@pytest.mark.parametrize("fields", [*CHANGES, EVERYTHING])
@pytest.mark.parametrize("name", ["ragged sequences", "single steps", "one channel"])
def test_what_stays(fields, name):
    inputs = INPUTS[name]
    for hostile in (False, True):
        features = made_up_batch(inputs, hostile=hostile)
        kept = [tensor.clone() for tensor in features]
        (values, lengths), _ = changed(fields, features, inputs)
        assert all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in zip(kept, features, strict=True))
        assert values.shape == features[0].shape
        assert values.dtype == torch.float32
        assert torch.equal(lengths, features[1])
        behind = torch.arange(values.shape[1]) >= lengths.clamp(1, values.shape[1]).unsqueeze(1)
        assert torch.equal(values[behind].nan_to_num(), features[0][behind].nan_to_num())


@pytest.mark.parametrize("fields", [*CHANGES, EVERYTHING])
def test_draws_from_the_generator_given_alone(fields):
    state = torch.get_rng_state()
    (first, _), _ = changed(fields, apart())
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first, changed(fields, apart())[0][0])
    assert not torch.equal(first, changed(fields, apart(), seed=1)[0][0])


@pytest.mark.parametrize("fields", CHANGES)
def test_every_change_is_seen_and_none_where_none_is_asked_for(fields):
    assert not torch.equal(changed(fields, apart())[0][0], apart()[0])
    assert torch.equal(changed({})[0][0], batch()[0])


def test_padding_is_seen_by_no_change():
    values, lengths = batch()
    behind = torch.arange(30) >= lengths.unsqueeze(1)
    other = values.masked_fill(behind.unsqueeze(2), 1e6)
    first, second = (changed({**EVERYTHING, "jitter": 0.0}, (rows, lengths))[0][0] for rows in (values, other))
    torch.testing.assert_close(first[~behind], second[~behind])


def test_warped_rows_keep_their_ends_and_their_order():
    (values, lengths), _ = changed({"warping": 0.8})
    for row, length in zip(values[..., 0], lengths.tolist(), strict=True):
        assert row[0] == 0
        torch.testing.assert_close(row[length - 1], torch.tensor(length - 1.0), atol=1e-4, rtol=0)
        assert (row[:length].diff() > 0.1).all()


def test_shifted_rows_repeat_their_ends():
    (values, lengths), _ = changed({"shift": 0.5})
    moves = set()
    for row, length in zip(values[..., 0], lengths.tolist(), strict=True):
        move = row[length // 2].item() - length // 2
        torch.testing.assert_close(row[:length], (torch.arange(length) + move).clamp(0, length - 1))
        moves.add(move)
    assert min(moves) < -2
    assert max(moves) > 2


def test_scaled_rows_have_a_factor_for_each_channel():
    (values, _), _ = changed({"scaling": 0.3})
    factors = ((values - torch.tensor([2.0, 0.0])) / (batch()[0] - torch.tensor([2.0, 0.0])))[:, 3:11]
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), atol=1e-3, rtol=1e-3)
    assert 0.1 < factors[:, 0].std() < 0.5


def test_noise_is_in_standard_units():
    (values, _), _ = changed({"jitter": 0.2})
    noise = (values - batch()[0])[:, :11].flatten(0, 1).std(0)
    torch.testing.assert_close(noise, torch.tensor([0.6, 0.2]), rtol=0.2, atol=0)


def test_spans_take_the_mean():
    (values, lengths), _ = changed({"left_out": 0.8})
    gone = (values != batch()[0]).any(2)
    assert gone.any(1).sum() > 10
    assert torch.equal(values[gone], torch.tensor([2.0, 0.0]).expand(int(gone.sum()), 2))
    assert all((row.int().diff() != 0).sum() <= 2 for row in gone)
    assert (gone.sum(1) <= 0.8 * lengths + 1).all()


def test_mixed_rows_are_means_as_far_as_both_go():
    features = apart()
    (values, lengths), mix = changed({"mixup": 1.0}, features)
    row = next(i for i in range(20) if lengths[mix.partner[i]] < lengths[i] and 0.1 < mix.share[i] < 0.9)
    short, share = int(lengths[mix.partner[row]]), mix.share[row]
    expected = share * features[0][row] + (1 - share) * features[0][mix.partner[row]]
    torch.testing.assert_close(values[row, :short], expected[:short])
    assert torch.equal(values[row, short:], features[0][row, short:])


def test_missing_values_stay_missing():
    values, lengths = batch()
    values[:, ::3] = float("nan")
    (made, _), _ = changed({"scaling": 0.3, "jitter": 0.2}, (values, lengths))
    assert torch.equal(made.isnan(), values.isnan())


@pytest.mark.parametrize(("inputs", "outputs", "closed"), [
    ("long sequences", "binary", set()), ("long sequences", "labels", set()),
    ("long sequences", "regression", {"scaling", "warping", "shift", "mixup"}),
    ("long sequences", "forecast", {"scaling", "warping", "shift", "mixup", "left_out"}),
    ("single steps", "binary", {"left_out", "warping", "shift"}),
])  # fmt: skip
def test_narrows_itself_to_what_rows_and_targets_bear(inputs, outputs, closed):
    narrowed = SeriesAugmentation.narrow(INPUTS[inputs], OUTPUTS[outputs])
    assert {field for field, value in narrowed.items() if value == 0.0} == closed
    Space(SeriesAugmentation, narrowed).default()
