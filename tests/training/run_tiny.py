"""Trainings of the tiny network in a process of their own: for tests with several ranks and with signals."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from phasenet_das.config import TrainSettings
from phasenet_das.training.dataset import TrainingSamples
from phasenet_das.training.ddp import World, find_world, join_world
from phasenet_das.training.loop import Trainer
from tests.training.tiny import MadeSource, tiny_net


class StoppingSource(MadeSource):
    """Sends its process a signal when a number of samples has been drawn."""

    def __init__(self, count: int, after: int, number: int) -> None:
        super().__init__(count)
        self.after, self.number = after, number

    def draw(self, epoch, number, rng, channels):
        if len(self.drawn) == self.after:
            os.kill(os.getpid(), self.number)
        return super().draw(epoch, number, rng, channels)


def run(task: dict, world: World) -> None:
    settings = TrainSettings(**task["settings"])
    source = MadeSource(task["count"])
    if "signal" in task and world.rank == task["stop_rank"]:
        source = StoppingSource(task["count"], task["stop_after"], getattr(signal, task["signal"]))
    samples = TrainingSamples([source], settings)
    validation = TrainingSamples([MadeSource(6)], settings, varied=False)
    result = Trainer(settings, tiny_net(), samples, validation, world).run()
    ended = {"drawn": source.drawn, "finished": result.finished, "signal": result.signal_number}
    (Path(settings.output) / f"rank_{world.rank}.json").write_text(json.dumps(ended))


def main() -> None:
    torch.set_num_threads(1)
    world = find_world("cpu")
    with join_world(world):
        for task in json.loads(Path(sys.argv[1]).read_text()):
            run(task, world)


if __name__ == "__main__":
    main()
