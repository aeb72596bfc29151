import math
import random
import statistics
from dataclasses import replace

import pytest

from automl.durations import LATELY, LEAST, Durations
from automl.strategies.base import Proposal
from automl.testing import example_space
from automl.training.measuring import parameters_of
from automl.trial import Outcome
from search_spaces.configuration import Configuration
from search_spaces.convnet import VGG
from search_spaces.language import Architecture
from search_spaces.mlp import MLP
from search_spaces.optimizers import Autoencoding, Recipe
from search_spaces.tabm import TabM
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


class Own(Architecture):
    """A family of a user's, which this process must not make."""

    def build(self, inputs, outputs):
        raise AssertionError("a user's code runs in workers only")


@pytest.fixture(scope="module")
def fold(toy_task):
    return toy_task().folds[0]


@pytest.fixture(scope="module")
def networks(fold):
    """Return 100 proposals of an epoch, the seconds each takes, and the outcome that says so; two traits decide about them."""
    space, rng, made = example_space(), random.Random(0), []
    for number in range(100):
        configuration = sample(space, rng)
        size = parameters_of(configuration.architecture, fold)
        seconds = math.sqrt(size) / configuration.recipe.batch_size
        done = Outcome(number, "finished", score=0.5, seconds=seconds, curve=((1, 0.5),), parameters=size)
        made.append((Proposal(number, configuration, 1, 2, 9), seconds, done))
    return made


def learnt(networks, fold):
    durations = Durations(fold)
    for proposal, _, done in networks:
        durations.learn(proposal, [done])
    return durations


def test_networks_that_were_not_seen_are_told_apart(networks, fold):
    seen, others = networks[:40], networks[40:]
    durations = learnt(seen, fold)
    faults = [abs(math.log(durations.seconds(proposal) / seconds)) for proposal, seconds, _ in others]
    usual = [abs(math.log(durations.roughly(proposal) / seconds)) for proposal, seconds, _ in others]
    assert statistics.mean(faults) < 0.4 * statistics.mean(usual)
    guesses = [durations.seconds(proposal) for proposal, _, _ in others]
    assert min(seconds for _, seconds, _ in seen) <= min(guesses)
    assert max(guesses) <= max(seconds for _, seconds, _ in seen)


@pytest.mark.parametrize(("count", "is_model"), [(LEAST - 1, False), (LEAST, True)])
def test_few_networks_make_no_model(networks, fold, count, is_model):
    durations = learnt(networks[:count], fold)
    assert (len({durations.seconds(proposal) for proposal, _, _ in networks[LEAST:]}) > 1) == is_model


def test_nothing_is_made_of_a_users_family_or_of_what_makes_no_network(networks, fold):
    durations = learnt(networks[:20], fold)
    middle = statistics.median(seconds for _, seconds, _ in networks[:20])
    for architecture in (Own(), VGG()):
        assert durations.seconds(Proposal(99, Configuration(architecture=architecture), 1, 2, 9)) == pytest.approx(middle)


def test_families_count_beside_sizes(networks, fold):
    durations = Durations(fold)
    for proposal, _, done in networks[:40]:
        slow = proposal.number % 2
        made = replace(proposal.configuration, architecture=(MLP(), TabM())[slow])
        durations.learn(replace(proposal, configuration=made), [replace(done, seconds=20.0 if slow else 1.0, parameters=1000)])
    others = [Proposal(60 + i, Configuration(architecture=one), 1, 2, 9) for i, one in enumerate((MLP(), TabM()))]
    fast, slow = (durations.seconds(one) for one in others)
    assert slow > 5 * fast


def test_an_outcome_that_took_no_time_teaches_nothing():
    durations = Durations()
    durations.learn(proposal(0), [outcome(0.0, 3)])
    assert durations.seconds(proposal(1)) == durations.longest == 0


def test_a_network_is_made_once(networks, fold, monkeypatch):
    durations, made = learnt(networks[:20], fold), []
    monkeypatch.setattr("automl.durations.parameters_of", lambda architecture, _: made.append(architecture) or 100)
    before = durations.seconds(networks[50][0])
    for proposal, _, done in networks[20:40]:
        durations.learn(proposal, [replace(done, seconds=1000.0)])
    assert durations.seconds(networks[50][0]) > 2 * before
    assert len(made) == 1


def test_the_longest_is_that_of_the_last_trainings():
    durations = Durations()
    assert durations.longest == 0
    for number in range(LATELY + 1):
        durations.learn(proposal(number), [outcome(3.0 if number else 50.0, 3)])
        assert durations.longest == (3.0 if number == LATELY else 50.0)
