"""A tiny network, and samples made of nothing but a seed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from phasenet_das.config import TrainSettings
from phasenet_das.training.sample import Sample

DT_S = 0.01
CHANNELS, SAMPLES = 8, 64


class TinyNet(nn.Module):
    """Two convolutions and a batch norm."""

    def __init__(self, features: int = 4) -> None:
        super().__init__()
        self.model_args = {"features": features}
        self.stem = nn.Conv2d(1, features, (3, 9), padding=(1, 4), bias=False)
        self.norm = nn.BatchNorm2d(features)
        self.head = nn.Conv2d(features, 3, (3, 9), padding=(1, 4))

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.norm(self.stem(data))))


def tiny_net(seed: int = 3, features: int = 4) -> TinyNet:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return TinyNet(features)


def made_sample(rng: np.random.Generator, channels: int = CHANNELS, samples: int = SAMPLES) -> Sample:
    """Spikes in noise: P up, S down and larger; one channel is dead now and then, so that masks differ."""
    data = 0.2 * rng.standard_normal((channels, samples))
    p = rng.uniform(5, samples / 2) + 0.5 * np.arange(channels)
    arrivals = np.stack([p, p + rng.uniform(8, 20)])[None]
    row = np.arange(channels)
    data[row, np.clip(np.rint(arrivals[0, 0]), 0, samples - 1).astype(int)] += 3
    data[row, np.clip(np.rint(arrivals[0, 1]), 0, samples - 1).astype(int)] -= 5
    data[rng.random(channels) < 0.2] = 0
    return Sample.of(data, arrivals, DT_S)


class MadeSource:
    """Samples by number; it notes what was drawn."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.drawn: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return self.count

    def draw(self, epoch: int, number: int, rng: np.random.Generator, channels: int = CHANNELS) -> Sample:  # noqa: ARG002
        self.drawn.append((epoch, number))
        return made_sample(rng)


def tiny_settings(output: Path, **changes: Any) -> TrainSettings:
    values: dict[str, Any] = {
        "output": str(output),
        "architecture": "tiny",
        "data": {
            "num_channels": CHANNELS,
            "num_samples": SAMPLES,
            "normalization": "std",
            "label_sigma_s": 0.02,
            "mask_guard_s": 0.05,
        },
        "augment": {"noise": 0.0, "add_event": 0.0},
        "steps": 8,
        "batch_size": 2,
        "warmup_steps": 2,
        "validate_every": 4,
        "validation_samples": 6,
        "save_every": 4,
        "log_every": 1,
        "num_workers": 0,
        "device": "cpu",
        "amp": "off",
        "learning_rate": 0.01,
        **changes,
    }
    return TrainSettings(**values)
