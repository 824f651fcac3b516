"""How many steps follow from the data and the start, and what follows from the steps."""

from __future__ import annotations

import numpy as np
import pytest

from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError
from phasenet_das.training.schedule import Schedule, make_schedule


@pytest.mark.parametrize(
    ("weights", "samples", "steps", "warmup", "memory", "validate_every"),
    [
        (None, 2_000, 10_000, 500, 300, 1_000),  # 40 epochs of 250 steps
        (None, 10, 6_000, 300, 180, 600),
        (None, 1_000_000, 30_000, 500, 900, 3_000),
        ("phasenet-das", 1_000, 2_500, 125, 75, 250),  # 20 epochs
        ("phasenet-das", 10, 1_000, 50, 30, 100),
        ("phasenet-das", 1_000_000, 6_000, 300, 180, 600),
    ],
)
def test_steps_follow_from_the_samples_and_the_start(
    weights: str | None, samples: int, steps: int, warmup: int, memory: float, validate_every: int
) -> None:
    found = make_schedule(TrainSettings(weights=weights), samples, samples_per_step=8)
    assert (found.steps, found.warmup_steps, found.validate_every) == (steps, warmup, validate_every)
    assert found.save_every == min(validate_every, 500)
    assert 1 / (1 - found.ema_decay) == pytest.approx(memory)


def test_stated_settings_are_kept() -> None:
    stated = {
        "steps": 40, "warmup_steps": 0, "ema_decay": 0.5, "validate_every": 7, "save_every": 3,
        "learning_rate": 0.01, "final_learning_rate": 0.0,
    }  # fmt: skip
    settings = TrainSettings(**stated)
    schedule = make_schedule(settings, 1_000, 8)
    assert schedule == Schedule(**stated)
    assert schedule.complete(settings) == settings
    assert make_schedule(TrainSettings(steps=40), 1_000, 8) == Schedule(40, 2, 0.9, 4, 4, 2e-3, 2e-5)
    given = make_schedule(TrainSettings(weights="phasenet-das"), 1_000, 8)
    assert (given.learning_rate, given.final_learning_rate) == pytest.approx((3e-4, 3e-6))


def test_the_longest_memory_is_a_thousand_steps() -> None:
    assert make_schedule(TrainSettings(steps=90_000), 10, 8).ema_decay == pytest.approx(0.999)


def test_a_warm_up_longer_than_the_training_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"found 500, more than the 40 steps.*Leave warmup_steps empty"):
        make_schedule(TrainSettings(steps=40, warmup_steps=500), 1_000, 8)


def test_the_learning_rate_warms_up_and_falls() -> None:
    settings = TrainSettings(steps=100, warmup_steps=10, learning_rate=0.01, final_learning_rate=1e-4)
    schedule = make_schedule(settings, 10, 2)
    rates = [schedule.rate(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.001)
    assert rates[9] == rates[10] == max(rates) == pytest.approx(0.01)
    assert rates[100] == pytest.approx(1e-4)
    assert (np.diff(rates[10:]) < 0).all()
