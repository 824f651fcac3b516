"""How long to train, and the settings that follow: warm-up, memory of the average, validations, checkpoints.

Settings that are stated are kept. Those left empty follow from the samples of an epoch and from the start:
random weights need more steps than given ones.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError

_RANDOM_START = (40, 6_000, 30_000)  # epochs, fewest and most steps
_GIVEN_START = (20, 1_000, 6_000)
_WARMUP_SHARE, _LONGEST_WARMUP = 0.05, 500
_MEMORY_SHARE, _SHORTEST_MEMORY, _LONGEST_MEMORY = 0.03, 10, 1_000  # steps that the average remembers
_VALIDATIONS = 10
_RANDOM_RATE, _GIVEN_RATE = 2e-3, 3e-4  # highest learning rates
_FINAL_RATE = 0.01  # of the highest
_MOST_STEPS_LOST = 500  # when a training is killed


@dataclass(frozen=True)
class Schedule:
    """Numbers of steps, and the memory of the moving average: settings without an empty one."""

    steps: int
    warmup_steps: int
    ema_decay: float
    validate_every: int
    save_every: int
    learning_rate: float
    final_learning_rate: float

    def complete(self, settings: TrainSettings) -> TrainSettings:
        """Return the settings with these numbers."""
        return settings.model_copy(update=asdict(self))

    def rate(self, step: int) -> float:
        """Compute the learning rate of a step: linear warm-up, then a cosine.

        Loshchilov & Hutter (2017), eq. 5.
        """
        highest, final = self.learning_rate, self.final_learning_rate
        if step < self.warmup_steps:
            return highest * (step + 1) / self.warmup_steps
        progress = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return final + 0.5 * (1 + math.cos(math.pi * min(progress, 1.0))) * (highest - final)


def make_schedule(settings: TrainSettings, samples_per_epoch: int, samples_per_step: int) -> Schedule:
    """Fill in the settings that are empty.

    With random weights, 1,000 samples an epoch and 4 a step: 40 epochs are 10,000 steps, the warm-up is 500
    of them, the average remembers 300, and every 1,000 steps are validated.
    """
    epochs, fewest, most = _RANDOM_START if settings.weights is None else _GIVEN_START
    wanted = math.ceil(epochs * samples_per_epoch / samples_per_step)
    steps = settings.steps or min(max(wanted, fewest), most)
    warmup = settings.warmup_steps
    if warmup is None:
        warmup = min(round(_WARMUP_SHARE * steps), _LONGEST_WARMUP)
    if warmup > steps:
        raise ConfigError(
            f"warmup_steps: found {warmup}, more than the {steps} steps of the training: the learning rate "
            "never reaches its value. Leave warmup_steps empty, or state fewer."
        )
    memory = min(max(_MEMORY_SHARE * steps, _SHORTEST_MEMORY), _LONGEST_MEMORY)
    highest = settings.learning_rate or (_RANDOM_RATE if settings.weights is None else _GIVEN_RATE)
    final = _FINAL_RATE * highest if settings.final_learning_rate is None else settings.final_learning_rate
    validate_every = settings.validate_every or math.ceil(steps / _VALIDATIONS)
    return Schedule(
        steps=steps,
        warmup_steps=warmup,
        ema_decay=1 - 1 / memory if settings.ema_decay is None else settings.ema_decay,
        validate_every=validate_every,
        save_every=settings.save_every or min(validate_every, _MOST_STEPS_LOST),
        learning_rate=highest,
        final_learning_rate=final,
    )
