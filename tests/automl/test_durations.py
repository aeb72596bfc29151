import math
import random
import statistics

import pytest

from automl.durations import LEAST, Durations
from automl.strategies.base import Proposal
from automl.testing import example_space
from automl.trial import Outcome
from search_spaces.configuration import Configuration
from search_spaces.optimizers import Autoencoding, Recipe
from search_spaces.variation import sample


def proposal(number, start=0, stop=3):
    return Proposal(number, Configuration(), start, stop, 9)


def outcome(seconds, epochs):
    return Outcome(0, "finished", score=0.5, seconds=seconds, curve=tuple((epoch, 0.5) for epoch in range(epochs)))


def test_nothing_is_known_at_first():
    assert Durations().seconds(proposal(0)) == 0.0


def test_the_pace_of_a_configuration_itself_goes_before_that_of_others():
    durations = Durations()
    durations.learn(proposal(0), [outcome(3.0, 3)])
    durations.learn(proposal(1), [outcome(30.0, 3)])
    durations.learn(proposal(2), [outcome(6.0, 3)])
    assert durations.seconds(proposal(0, 3, 9)) == pytest.approx(6.0)
    assert durations.seconds(proposal(9, 0, 3)) == pytest.approx(6.0)


def test_folds_add_up():
    durations = Durations()
    durations.learn(proposal(0), [outcome(3.0, 3), outcome(3.0, 3)])
    assert durations.seconds(proposal(0)) == pytest.approx(6.0)


def test_pretraining_counts_where_a_training_begins():
    made_of = Configuration(recipe=Recipe(pretraining=Autoencoding(epochs=7)))
    durations = Durations()
    durations.learn(Proposal(0, made_of, 0, 3, 9), [outcome(10.0, 3)])
    assert durations.seconds(Proposal(0, made_of, 3, 9, 9)) == pytest.approx(6.0)
    assert durations.seconds(Proposal(1, made_of, 0, 3, 9)) == pytest.approx(10.0)
    assert durations.seconds(proposal(2, 0, 3)) == pytest.approx(3.0)


def test_an_outcome_without_epochs_teaches_nothing():
    durations = Durations()
    durations.learn(proposal(0), [outcome(1.0, 0)])
    assert durations.seconds(proposal(0)) == 0.0


def sampled(count):
    """Return a space and networks of it, each with a pace that depends on two of its decisions."""
    space, rng = example_space(), random.Random(0)
    members = [sample(space, rng) for _ in range(count)]
    return space, [(one, len(one.architecture.blocks) / one.recipe.batch_size) for one in members]


def learnt(space, members):
    durations = Durations(space)
    for number, (member, pace) in enumerate(members):
        made = Proposal(number, member, 1, 4, 9)
        durations.learn(made, [outcome(3 * pace, 3)])
    return durations


def test_networks_that_were_not_seen_are_told_apart_by_their_decisions():
    space, members = sampled(120)
    seen, others = members[:80], members[80:]
    durations = learnt(space, seen)
    middle = statistics.median(pace for _, pace in seen)
    guesses = [durations.seconds(Proposal(100 + i, one, 1, 2, 9)) for i, (one, _) in enumerate(others)]
    faults = [abs(math.log(guess / pace)) for guess, (_, pace) in zip(guesses, others, strict=True)]
    usual = [abs(math.log(middle / pace)) for _, pace in others]
    assert statistics.mean(faults) < 0.6 * statistics.mean(usual)
    assert min(pace for _, pace in seen) <= min(guesses) < max(guesses) <= max(pace for _, pace in seen)


def test_few_networks_make_no_model():
    space, members = sampled(LEAST + 5)
    middle = statistics.median(pace for _, pace in members[: LEAST - 1])
    for count, is_middle in ((LEAST - 1, True), (LEAST, False)):
        guesses = [learnt(space, members[:count]).seconds(Proposal(50, one, 1, 2, 9)) for one, _ in members[LEAST:]]
        assert (guesses == [pytest.approx(middle)] * 5) == is_middle


def test_the_order_of_the_calls_does_not_change_what_is_told():
    space, members = sampled(40)
    late, asked = learnt(space, members[:30]), Durations(space)
    for number, (member, pace) in enumerate(members[:30]):
        asked.learn(Proposal(number, member, 1, 4, 9), [outcome(3 * pace, 3)])
        asked.seconds(Proposal(99, members[-1][0], 1, 2, 9))
    for i, (member, _) in enumerate(members[30:]):
        assert asked.seconds(Proposal(60 + i, member, 1, 2, 9)) == pytest.approx(late.seconds(Proposal(60 + i, member, 1, 2, 9)))
