"""Whether our cells are those of NAS-Bench-201.

Builds networks of `search_spaces.cell.Cell` in the published skeleton, runs one image of 32x32x3 through each, and compares the
number of parameters, and of multiplications in convolutions, with a table of them for all 15,625 cells: for random cells, and for
one cell of each mix of convolutions, on which alone both figures depend. How the table's other cells agree with their mix is
counted too. Equal means equal to the last one.

    python results/images/nasbench201.py nasbench201.npz          # about a minute

The table holds `ops`, `arch` (15625, 6), `params_c10` and `conv_macs_c10`, computed from the published skeleton. Seed 0.
Writes nasbench201.json beside this script.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from search_spaces.cell import EDGES, NASBENCH201, OPERATIONS, Cell
from search_spaces.spec import Classes, Image

HERE = Path(__file__).parent
CELLS = 200
CIFAR10 = Image(32, 32, 3, "uint8", (125.0, 123.0, 114.0), (63.0, 62.0, 67.0), ("horizontal",), 50_000)
CLASSES = Classes((5_000,) * 10)


def figures(operations: Sequence[str]) -> tuple[int, int]:
    """Return the parameters of a network, and its multiplications in convolutions for one image."""
    edges = {f"edge_{start}{end}": name for (start, end), name in zip(EDGES, operations, strict=True)}
    with torch.device("meta"):
        network, image = Cell.from_dict({**NASBENCH201, **edges}).build(CIFAR10, CLASSES).eval(), torch.empty(1, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(image)
    macs = counter.get_flop_counts()["Global"][torch.ops.aten.convolution] // 2
    return sum(parameter.numel() for parameter in network.parameters()), macs


def main() -> None:
    """Compare, print, and write the file."""
    torch.set_num_threads(1)
    table = np.load(sys.argv[1], allow_pickle=False)
    names, cells = table["ops"].tolist(), table["arch"]
    theirs = np.stack([table["params_c10"], table["conv_macs_c10"]], 1).astype(np.int64)
    convolutions = [(cells == names.index(name)).sum(1) for name in ("nor_conv_1x1", "nor_conv_3x3")]
    _, first, mix = np.unique(np.stack(convolutions, 1), axis=0, return_index=True, return_inverse=True)

    def ours(row: int) -> tuple[int, int]:
        return figures([names[index] for index in cells[row]])

    drawn = np.random.default_rng(0).choice(len(cells), CELLS, replace=False)
    by_mix = np.array([ours(row) for row in first])
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy"))
    found = {
        "machine": f"{platform.machine()}, Python {platform.python_version()}, {libraries}",
        "operations": names == list(OPERATIONS),
        "cells": len(cells),
        "random": {"built": CELLS, "equal": sum(ours(row) == tuple(theirs[row]) for row in drawn)},
        "mixes": {"built": len(first), "cells": len(cells), "equal": int((by_mix[mix] == theirs).all(1).sum())},
        "parameters": [int(by_mix[:, 0].min()), int(by_mix[:, 0].max())],
        "multiplications": [int(by_mix[:, 1].min()), int(by_mix[:, 1].max())],
    }
    print(json.dumps(found, indent=1))
    (HERE / "nasbench201.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
