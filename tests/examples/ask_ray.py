"""What Ray makes of a command or of a cluster.yaml: answers as lines of JSON to questions as lines of JSON.

A process of its own: Ray reads its environment when it is imported, and other tests set that first.
"""

import json
import os
import sys

import click
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts.scripts import cli


def parsed(words):
    command, name = cli, "ray"
    while isinstance(command, click.Group):
        name = words.pop(0)
        command = command.commands[name]
    return command.make_context(name, words).params


def prepared(config):
    ready = prepare_config(config)
    validate_config(ready)
    return ready


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # Ray logs to standard output
    for line in sys.stdin:
        question, given = json.loads(line)
        try:
            answer = {"value": {"parsed": parsed, "prepared": prepared}[question](given)}
        except Exception as error:  # noqa: BLE001 - the one who asks judges
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer, default=str) + "\n")
        answers.flush()
