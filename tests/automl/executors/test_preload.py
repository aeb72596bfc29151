"""What a zygote loads before it forks, seen from a fresh process."""

import subprocess
import sys

CODE = """
import sys
from automl.executors.zygote import preload
preload()
import torch
from search_spaces.optimizers import SGD, Adadelta, Adagrad, Adam, AdamW, Momentum, RMSprop
weights = torch.nn.Parameter(torch.ones(3))
for family in (SGD, Adadelta, Adagrad, Adam, AdamW, Momentum, RMSprop):
    optimizer = family().build([weights])
    (weights * weights).sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
assert weights.requires_grad and weights[0] < 1
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
"""


def test_optimizers_step_without_loading_the_compiler():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["False", "False"], done.stderr
