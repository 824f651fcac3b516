"""Small networks of random weights, sharpened so that they pick something anywhere."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import torch
from numpy.testing import assert_allclose

from phasenet_das.models import EQNet, PhaseNet, PhaseNetDAS, Weights
from phasenet_das.picking import Picker

SMALL = {
    "widths": (4, 6, 8),
    "strides": ((2, 4), (2, 2), (1, 2)),
    "kernels": ((3, 5), (3, 3), (1, 3)),
    "depths": (1, 0, 2),
}


@cache
def small_picker(kind: str = "tile") -> Picker:
    """A picker by kind: ``tile``, ``tile-array``, ``window`` (PhaseNet) or ``picture`` (EQNet)."""
    torch.manual_seed(5)
    architecture, normalization, window = "phasenet-das", "moving", 300
    if kind == "window":
        architecture, normalization = "phasenet", "std"
        model: torch.nn.Module = PhaseNet(in_channels=1, filters=4, window_samples=window).eval()
        final, gain = model.out, 12.0
    elif kind == "picture":
        architecture, normalization, window = "eqnet", "none", 1280
        model = EQNet().eval()
        final, gain = model.classifier.layers, 30.0
    else:
        normalization = {"tile": "moving", "tile-array": "moving-array"}[kind]
        model = PhaseNetDAS(**SMALL).eval()
        final, gain = model.head, 8.0
    with torch.no_grad():
        final.weight.mul_(gain)
    return Picker(Weights(kind, architecture, model, 100.0, "NPS", "1", normalization, window, "0" * 64))


def assert_same_picks(first: pd.DataFrame, second: pd.DataFrame, *, least: int = 20) -> None:
    """Equal by pick_id, but for picks within 1e-3 of the threshold of 0.3 or of an equally high rival."""
    first, second = (table.set_index("pick_id").sort_index() for table in (first, second))
    assert first.index.is_unique
    assert second.index.is_unique
    alone = pd.concat([first[~first.index.isin(second.index)], second[~second.index.isin(first.index)]])
    assert (alone["phase_score"] < 0.3 + 1e-3).all(), alone
    common = first.index.intersection(second.index)
    assert len(common) >= least
    first, second = first.loc[common], second.loc[common]
    assert_allclose(first["phase_score"], second["phase_score"], atol=1e-3)
    assert (first["phase_time"] - second["phase_time"]).dt.total_seconds().abs().max() <= 0.01
    assert_allclose(first["phase_amplitude"], second["phase_amplitude"], rtol=1e-4)
    for column in ("station_id", "channel_index", "phase_type", "distance_m"):
        assert np.array_equal(first[column], second[column], equal_nan=column == "distance_m")
