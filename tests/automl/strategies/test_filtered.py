import pytest

from automl.strategies.base import Plan
from automl.strategies.evolution import Evolution
from automl.strategies.filtered import Filtered
from automl.strategies.halving import Halving
from automl.strategies.random_search import RandomSearch
from automl.testing import check_strategy
from search_spaces.cell import NASBENCH201, Cell
from search_spaces.configuration import space_for
from search_spaces.language import Space
from search_spaces.losses import CLASS_LOSSES
from search_spaces.made_up import INPUTS, OUTPUTS

CELLS = Space(Cell, NASBENCH201)
TASK = INPUTS["colour images"], OUTPUTS["multiclass"]


def promise(cell: Cell) -> float:
    return float(cell.operations.count("nor_conv_3x3"))


def test_the_most_promising_of_several_is_suggested() -> None:
    plain, filtered = RandomSearch(CELLS, Plan(1)), Filtered(RandomSearch(CELLS, Plan(1)), promise, tried=8)
    pairs = [(promise(plain.suggest(number)), promise(filtered.suggest(number))) for number in range(30)]
    assert all(ours >= theirs for theirs, ours in pairs)
    assert sum(ours for _, ours in pairs) > 2 * sum(theirs for theirs, _ in pairs)
    assert [filtered.suggest(number) for number in range(9)] == [filtered.suggest(number) for number in range(9)]


def test_one_try_is_no_filter() -> None:
    plain, filtered = RandomSearch(CELLS, Plan(1)), Filtered(RandomSearch(CELLS, Plan(1)), promise, tried=1)
    assert [filtered.suggest(number) for number in range(9)] == [plain.suggest(number) for number in range(9)]
    with pytest.raises(ValueError, match="at least 1"):
        Filtered(plain, promise, tried=0)


def test_what_promises_nothing_is_suggested_as_it_comes() -> None:
    plain, filtered = RandomSearch(CELLS, Plan(1)), Filtered(RandomSearch(CELLS, Plan(1)), lambda _: None)
    assert [filtered.suggest(number) for number in range(9)] == [plain.suggest(number) for number in range(9)]


def test_a_filtered_evolution_is_a_strategy() -> None:
    def made(space, plan):
        return Halving(Filtered(Evolution(space, plan), lambda one: float(one.recipe.batch_size), tried=2), space, plan)

    searched = space_for(*TASK, CLASS_LOSSES, (Cell,), {"recipe/schedule/kind": "Cosine"})
    check_strategy(made, searched, asks=40)
