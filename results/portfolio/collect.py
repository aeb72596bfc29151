"""Train one set of configurations on many data sets: what `choose.py` chooses a portfolio from.

The configurations of a family are common to all data sets: its default; the default with one to five decisions changed; random
draws; and, when these were trained (`--bred`), mutations and crossovers of those that were best somewhere. They are drawn once,
in the space of a made-up table or image that leaves all decisions open, and moved into the space of each data set by
`automl.portfolio.inside`, as a search moves them. A table of values has a loss of its own in each of them. Draws above MOST
parameters (of networks for images: multiplications) are drawn again: what is tried first must not be slow.

Tables: at most 800 fit and 1,000 choose rows, 15 epochs. Images: 600 and 600, 6 epochs. A training has one seed. The loss
is that of the best epoch on the choose rows, by the metric that a search has by default; of more than two classes the log loss,
because accuracies on a few hundred rows say little.

    python results/portfolio/collect.py DATA_FOLDER MLP
    python results/portfolio/collect.py DATA_FOLDER MLP --bred

DATA_FOLDER holds tabular/*.csv, images/*.npz and sequences/fsdd_logmel.npz. Goes on where it was interrupted. Appends to
candidates.jsonl and trainings.csv beside this script. Those in HELD are trained, but nothing is bred or chosen by them.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch.utils.flop_counter import FlopCounterMode

from automl.metrics import metric
from automl.portfolio import inside
from automl.task import DataOptions, Task, make_task
from automl.training.course import Span
from automl.training.loop import train
from automl.training.networks import NetworkFault, one_thread
from search_spaces.base import Infeasible
from search_spaces.configuration import FAMILIES, Configuration, space_for
from search_spaces.language import Architecture, Choice, Space
from search_spaces.losses import losses_for
from search_spaces.made_up import INPUTS
from search_spaces.mlp import MLP
from search_spaces.spec import Classes, Image, Inputs, Outputs, Table, Values
from search_spaces.variation import crossover, mutate, sample

HERE = Path(__file__).parent
CANDIDATES, TRAININGS = HERE / "candidates.jsonl", HERE / "trainings.csv"
COLUMNS = ("kind", "data", "family", "number", "loss", "ending", "epochs", "seconds")
TABLES = {  # with their targets
    "credit_g": "class",
    "cpu_act": "usr",
    "phoneme": "target",
    "california_housing": "median_house_value",
    "vehicle": "Class",
    "concrete": "compressive_strength",
    "electrical_grid": "stabf",
    "abalone": "rings",
    "segment": "class",
    "bike_hourly": "cnt",
    "bank_marketing": "deposit",
    "splice": "Class",
    "diamonds": "price",
    "magic": "Class",
    "auto_mpg": "mpg",
    "telco_churn": "churn",
    "car": "class",
    "spambase": "class",
    "adult": "income",
    "letter": "class",
    "kin8nm": "y",
}
HELD = ("adult", "letter", "kin8nm")
IMAGES = ("images/mnist_small", "images/cifar10_small", "sequences/fsdd_logmel")
NEAR, RANDOM, BRED = 17, 10, 8  # candidates beside the default; half as many of other families than MLP, which train longer
MOST = {"table": 100_000, "image": 14_000_000}
PATIENT = {"recipe/schedule/kind": Choice("Cosine", "Constant")}  # as a search with halving has it


@dataclass(frozen=True)
class Size:
    """How much is trained: rows and epochs."""

    fit: int
    choose: int
    epochs: int


SIZES = {"table": Size(800, 1000, 15), "image": Size(600, 600, 6)}


def of_images(family: type[Architecture]) -> bool:
    """Whether a family is one for images."""
    return Table not in family.takes


def space_of(family: type[Architecture], inputs: Inputs, outputs: Outputs) -> Space[Configuration]:
    """Return the space that a search with this family alone has, with its default halving."""
    return space_for(inputs, outputs, losses_for(outputs), (family,), PATIENT)


@cache
def reference(family: type[Architecture], *, values: bool = False) -> Space[Configuration]:
    """Return the space that candidates are drawn from."""
    inputs = INPUTS["colour images" if of_images(family) else "both"]
    return space_of(family, replace(inputs, rows=1200), Values(0.0, 1.0) if values else Classes((600, 600)))


def cost(configuration: Configuration) -> int:
    """Return the parameters of a network for the made-up table, or the multiplications of one for an image of 32 x 32 x 3."""
    image = of_images(type(configuration.architecture))
    inputs = INPUTS["colour images" if image else "both"]
    if not image:
        network = configuration.architecture.build(inputs, Classes((50, 50)))
        return sum(parameter.numel() for parameter in network.parameters())
    with torch.device("meta"):
        network, batch = configuration.architecture.build(inputs, Classes((10,) * 10)).eval(), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(batch)
    return int(counter.get_total_flops()) // 2


def affordable(configuration: Configuration) -> bool:
    """Whether a configuration makes a network, and one that isn't slow."""
    try:
        return cost(configuration) <= MOST["image" if of_images(type(configuration.architecture)) else "table"]
    except Infeasible:
        return False


def first_candidates(family: type[Architecture]) -> Iterator[tuple[str, Configuration]]:
    """Yield the candidates that know nothing of any training, and how each was made."""
    space, rng = reference(family), random.Random(f"portfolio/{family.__name__}")
    yield "default", space.default()
    share = 1 if family is MLP else 2
    for count, how in ((NEAR // share, "near"), (RANDOM // share, "random")):
        made = 0
        while made < count:
            drawn = sample(space, rng) if how == "random" else changed(space, space.default(), rng, 5)
            if affordable(drawn):
                made += 1
                yield how, drawn


def changed(space: Space[Configuration], parent: Configuration, rng: random.Random, most: int) -> Configuration:
    """Return a configuration with one to `most` decisions changed."""
    for _ in range(rng.randint(1, most)):
        parent = mutate(space, parent, rng)
    return parent


def bred_candidates(family: type[Architecture], listed: list[Configuration]) -> Iterator[tuple[str, Configuration]]:
    """Yield children of those that were the best on a data set, or are among the best five on average."""
    space, rng = reference(family), random.Random(f"portfolio/bred/{family.__name__}")
    frame = pd.read_csv(TRAININGS)
    frame = frame[(frame["family"] == family.__name__) & ~frame["data"].isin(list(HELD))]
    ranks = frame.pivot_table(index="number", columns="data", values="loss").rank()
    parents = [*dict.fromkeys([*ranks.mean(axis=1).nsmallest(5).index, *ranks.idxmin()])]
    made = 0
    while made < BRED // (1 if family is MLP else 2):
        first, second = (listed[number] for number in rng.sample(parents, 2))
        child = crossover(space, first, second, rng) if made % 2 else changed(space, first, rng, 3)
        if affordable(child) and child not in listed:
            made += 1
            yield "bred", child


def twin(configuration: Configuration, number: int, how: str) -> Configuration:
    """Return a configuration for values: the same with a loss of values, a random one where not near the default."""
    space = reference(type(configuration.architecture), values=True)
    moved = inside(space, configuration)
    assert moved is not None
    if how == "default" or (how == "near" and number % 3):
        return moved
    loss = sample(space, random.Random(f"portfolio/loss/{number}")).recipe.loss
    return replace(moved, recipe=replace(moved.recipe, loss=loss))


def candidates(family: type[Architecture], *, bred: bool) -> list[dict[str, Any]]:
    """Return the candidates of a family from the file, where they are written once."""
    lines = [json.loads(line) for line in CANDIDATES.read_text().splitlines()] if CANDIDATES.exists() else []
    own = [line for line in lines if line["family"] == family.__name__]
    if own and any(line["how"] == "bred" for line in own) >= bred:
        return own
    listed = [Configuration.from_dict(line["classes"], FAMILIES) for line in own]
    fresh = bred_candidates(family, listed) if bred else first_candidates(family)
    with CANDIDATES.open("a") as file:
        for number, (how, configuration) in enumerate(fresh, len(own)):
            line = {"family": family.__name__, "number": number, "how": how, "classes": configuration.to_dict()}
            if not of_images(family):
                line["values"] = twin(configuration, number, how).to_dict()
            own.append(line)
            file.write(json.dumps(line) + "\n")
    return own


def table_task(path: Path, target: str) -> Task:
    """Return a task of some rows of a table, those of choosing apart."""
    frame, size = pd.read_csv(path), SIZES["table"]
    frame = frame[frame[target].notna()].sample(frac=1, random_state=0)
    choose = min(size.choose, len(frame) // 3)
    fit, judge = frame[choose : choose + size.fit], frame[:choose]
    if fit[target].dtype == "str" or fit[target].nunique() < 30:
        judge = judge[judge[target].isin(fit[target])]
    scored = "log_loss" if fit[target].dtype == "str" and fit[target].nunique() > 2 else None
    return make_task(fit, DataOptions(target=target, metric=scored, validation=judge, test=judge[:50]))


def image_task(path: Path) -> Task:
    """Return a task of some images; spoken digits are pictures of their frequencies over time."""
    with np.load(path, allow_pickle=False) as data:
        x, y = data["x_train"], data["y_train"]
    order, size = np.random.default_rng(0).permutation(len(x)), SIZES["image"]
    fit, choose = order[: size.fit], order[size.fit : size.fit + size.choose]
    judge = (x[choose], y[choose])
    return make_task((x[fit], y[fit]), DataOptions(inputs="images", validation=judge, test=judge))


def tasks(data: Path, family: type[Architecture], only: list[str] | None) -> Iterator[tuple[str, Task]]:
    """Yield the data sets of a family by name."""
    paths = IMAGES if of_images(family) else tuple(TABLES)
    for path in paths:
        name = Path(path).name
        if not only or name in only:
            task = (
                image_task(data / f"{path}.npz") if of_images(family) else table_task(data / f"tabular/{path}.csv", TABLES[path])
            )
            yield name, task


def measured(task: Task, configuration: Configuration) -> dict[str, Any]:
    """Return what a training gives; the loss is NaN where it failed."""
    fold = task.folds[0]
    size = SIZES["image" if isinstance(fold.inputs, Image) else "table"]
    space = space_of(type(configuration.architecture), fold.inputs, fold.outputs)
    moved, began = inside(space, configuration), time.process_time()
    loss, ending, epochs = float("nan"), "infeasible", 0
    try:
        if moved is not None:
            trained = train(moved, task, fold, Span(0, 0, size.epochs, size.epochs))
            ending, epochs, score = trained.ending, trained.progress.epoch, trained.progress.best_score
            if score is not None and ending in ("finished", "stopped"):
                loss = metric(task.metric, task.kind).loss(score)
    except (Infeasible, NetworkFault) as error:
        ending = f"{type(error).__name__}"
    seconds = round(time.process_time() - began, 2)
    return {"loss": loss, "ending": ending, "epochs": epochs, "seconds": seconds}


def main() -> None:
    """Train what wasn't yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("family")
    parser.add_argument("--bred", action="store_true")
    parser.add_argument("--only", nargs="*", default=None)
    options = parser.parse_args()
    family = next(family for family in FAMILIES if family.__name__ == options.family)
    known = pd.read_csv(TRAININGS) if TRAININGS.exists() else pd.DataFrame(columns=list(COLUMNS))
    done = set(known[["data", "family", "number"]].itertuples(index=False, name=None))
    listed = candidates(family, bred=options.bred)
    with TRAININGS.open("a", newline="") as file, one_thread():
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if not known.size:
            writer.writeheader()
        for name, task in tasks(options.data, family, options.only):
            kind = "classes" if isinstance(task.folds[0].outputs, Classes) else "values"
            for line in listed:
                key = {"data": name, "family": line["family"], "number": line["number"]}
                if tuple(key.values()) not in done:
                    row = {"kind": kind, **key, **measured(task, Configuration.from_dict(line[kind], FAMILIES))}
                    writer.writerow(row)
                    file.flush()
            print(name, task.metric, time.strftime("%H:%M:%S"), flush=True)


if __name__ == "__main__":
    main()
