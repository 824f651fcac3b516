"""The weights that ship: whole, licensed, documented, and the same function as when they were trained."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phasenet_das import io
from phasenet_das.matching import match_picks
from phasenet_das.models import load_weights
from phasenet_das.models.names import BUNDLED
from phasenet_das.models.precision import multiply_in
from phasenet_das.picking import load_picker
from phasenet_das.simulate import scenario, simulate
from phasenet_das.tables import read_picks

# Mean probability of noise, P and S on an onset of P-like and S-like size in seeded noise.
REFERENCE = {"phasenet": (0.96018, 0.01645, 0.02337), "phasenet-das": (0.95293, 0.02537, 0.02170)}


def onset() -> torch.Tensor:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((32, 1536)).astype(np.float32)
    time = np.arange(1536)
    for first, size in ((400, 6.0), (800, 20.0)):
        data += (
            size
            * (time >= first)
            * np.exp(-np.maximum(time - first, 0) / 150)
            * np.sin(0.35 * (time - first))
        )
    return torch.from_numpy(data[None, None].astype(np.float32))


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLED.glob("*/config.json")))
def test_bundled_weights_are_whole_and_give_what_they_gave(name: str, precision: str) -> None:
    weights = load_weights(name)
    assert weights.provenance["license"] == "MIT"
    assert (BUNDLED / name / "README.md").read_text().startswith("---\nlicense")
    assert sum(path.stat().st_size for path in (BUNDLED / name).iterdir()) < 12e6
    with torch.inference_mode(), multiply_in(precision, torch.device("cpu")):
        scores = torch.softmax(weights.model.fused()(onset()), dim=1)[0]
    np.testing.assert_allclose(scores.mean(dim=(1, 2)), REFERENCE[name], atol=2e-4)
    assert weights.calibration is not None
    assert set(weights.calibration.curves) == {"P", "S"}


def test_the_bundled_teacher_picks_one_channel_at_a_time() -> None:
    rng, time = np.random.default_rng(5), np.arange(4000)
    data = rng.standard_normal((6, len(time)))
    arrivals_s = {"P": 15.0, "S": 20.0}
    for first_s, size, period in zip(arrivals_s.values(), (12.0, 40.0), (9, 16), strict=True):
        after = np.maximum(time - 100 * first_s, 0)
        data += size * np.exp(-after / 120) * np.sin(2 * np.pi * after / period)
    start = np.datetime64("2024-01-01T00:00:00", "ns")
    patch = io.make_patch(data.astype(np.float32), start_time=start, dt_s=0.01, station_id="X", unit="1")
    picker = load_picker("phasenet")
    picks = picker.pick(patch)
    seconds = (picks["phase_time"].dt.tz_convert(None) - start).dt.total_seconds()
    for phase, arrival_s in arrivals_s.items():
        right = (picks["phase_type"] == phase) & ((seconds - arrival_s).abs() < 0.1)
        assert set(picks.loc[right, "channel_index"]) == set(range(6))
    alone = picker.pick(io.make_patch(data[2:3].astype(np.float32), start_time=start, dt_s=0.01,
                                      station_id="X", unit="1"))  # fmt: skip
    assert len(alone) == (picks["channel_index"] == 2).sum()


def test_the_reference_output_stands_in_the_card() -> None:
    card = (BUNDLED / "phasenet" / "README.md").read_text()
    assert ", ".join(f"{value:.5f}" for value in REFERENCE["phasenet"]) in card


@pytest.mark.parametrize("seed", [1, 3])
def test_an_event_is_found_on_any_number_of_channels_and_from_any_begin(seed: int, tmp_path: Path) -> None:
    config = scenario(
        "easy",
        duration_s=60.0,
        file_length_s=60.0,
        cable={"num_channels": 80, "dx_m": 10.0, "gauge_length_m": 10.0},
        sources={"events_per_hour": 60.0},
        faults={"num_gaps": 0, "clock_jump_s": 0.0, "wrong_metadata": False},
    )
    simulate(config, tmp_path, seed=seed)
    path = next((tmp_path / "data").glob("*.h5"))
    truth = read_picks(tmp_path / "truth_picks.parquet")
    clear = truth[truth["snr_db"] > 10]
    first_p = clear.loc[clear["phase_type"] == "P", "phase_time"].min()
    picker = load_picker("phasenet-das")
    for channels, before_s in itertools.product((1, 5, 16, 40), (4.0, 30.0)):
        first = (80 - channels) // 2
        start = (first_p - pd.Timedelta(seconds=before_s)).tz_convert(None)
        piece = {"channels": (first, first + channels), "time": (start, None)}
        picks = picker.pick(io.read(path, station_id=clear["station_id"].iloc[0], **piece))
        inside = clear["channel_index"].between(first, first + channels - 1)
        wanted = clear[inside].reset_index(drop=True)
        found = match_picks(picks, wanted, {"P": 0.1, "S": 0.2})["truth_row"]
        share = wanted.index.isin(found).astype(float)
        share = pd.Series(share).groupby(wanted["phase_type"]).mean()
        assert share["S"] >= 0.95, (channels, before_s)
        assert share["P"] >= 0.9, (channels, before_s)
