import pytest
from hypothesis import given
from hypothesis import strategies as st

from automl.executors.wire import Inbox, families_from_text, families_to_text, outcome_from_dict, outcome_to_dict, pack
from automl.trial import Outcome
from search_spaces.mlp import MLP

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
messages = st.dictionaries(st.text(max_size=3), scalars | st.lists(scalars, max_size=3), max_size=3)


@given(st.lists(messages, max_size=4), st.lists(st.integers(0, 200), max_size=20))
def test_messages_come_out_as_they_went_in_however_they_are_cut(sent, cuts):
    data = b"".join(pack(message) for message in sent)
    ends = sorted({min(cut, len(data)) for cut in cuts} | {len(data)})
    inbox, received, start = Inbox(), [], 0
    for end in ends:
        received += inbox.take(data[start:end])
        start = end
    assert received == sent


def test_an_outcome_survives_to_the_last_bit():
    outcome = Outcome(3, "finished", "ünïcode", 0.1 + 0.2, 9, 4, 1 / 3, 12, 5e-324, ((1, 1e300), (2, -0.0)))
    (message,) = Inbox().take(pack(outcome_to_dict(outcome)))
    assert outcome_from_dict(message) == outcome


def test_families_that_can_be_imported_travel_by_name():
    assert families_from_text(families_to_text((MLP,))) == (MLP,)
    assert families_from_text(families_to_text(())) == ()


def test_what_is_no_json_is_not_sent():
    with pytest.raises(TypeError, match="JSON"):
        pack({"family": MLP})
