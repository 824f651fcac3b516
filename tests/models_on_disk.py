"""A small network of random weights on disk: it picks something anywhere, in no time."""

from __future__ import annotations

from pathlib import Path

import torch

from phasenet_das.models import PhaseNet, save_weights

MODEL_ARGS = {"in_channels": 1, "filters": 4, "window_samples": 300}


def save_random_phasenet(folder: Path) -> Path:
    """Write the folder of a PhaseNet whose scores jump between the classes."""
    torch.manual_seed(1)
    model = PhaseNet(**MODEL_ARGS)
    with torch.no_grad():
        model.out.weight.mul_(12)
    return save_weights(
        folder,
        model,
        architecture="phasenet",
        model_args=MODEL_ARGS,
        sampling_rate_hz=100.0,
        phases="NPS",
        component_order="1",
        normalization="std",
        window_samples=300,
        provenance={"license": "MIT", "note": "random, for tests"},
    )
