"""A training of the tiny network as a process of its own: for tests with several ranks and with signals."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import torch

from phasenet_das.config import TrainSettings
from phasenet_das.training.ddp import find_world, join_world
from phasenet_das.training.loop import Trainer
from phasenet_das.training.stream import TrainingSamples
from tests.training.tiny import MadeSource, tiny_net


class StoppingSource(MadeSource):
    """Sends its process a signal when a number of samples has been drawn."""

    def __init__(self, count: int, after: int, number: int) -> None:
        super().__init__(count)
        self.after, self.number = after, number

    def draw(self, epoch, number, rng):
        if len(self.drawn) == self.after:
            os.kill(os.getpid(), self.number)
        return super().draw(epoch, number, rng)


def main() -> int:
    torch.set_num_threads(1)
    task = json.loads(Path(sys.argv[1]).read_text())
    settings = TrainSettings(**task["settings"])
    world = find_world(settings.device)
    source = MadeSource(task["count"])
    if "stop_after" in task and world.rank == task.get("stop_rank", 0):
        source = StoppingSource(task["count"], task["stop_after"], getattr(signal, task["signal"]))
    with join_world(world):
        samples = TrainingSamples([source], settings)
        validation = TrainingSamples([MadeSource(6)], settings, varied=False)
        result = Trainer(settings, tiny_net(), samples, validation, world).run()
    drawn = Path(settings.output) / f"drawn_{world.rank}.json"
    drawn.write_text(json.dumps(source.drawn))
    return 0 if result.finished else 128 + result.signal_number


if __name__ == "__main__":
    sys.exit(main())
