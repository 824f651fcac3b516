"""bfloat16 picks what float32 picks, and no run mixes the two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from phasenet_das import io
from phasenet_das.config import PickSettings
from phasenet_das.picking import load_picker, pick_archive
from phasenet_das.tables import read_metadata
from tests.models.test_bundled import onset
from tests.picking.small_pickers import small_picker

LARGEST = 0.015  # difference of a score
RECORDS = ["generated", "brady_porotomo_20160321_M4.3.h5"]


def _record(name: str, request: pytest.FixtureRequest) -> object:
    if name != "generated":
        return request.getfixturevalue("shared") / "data/das_events" / name
    options = {"start_time": "2024-01-01", "dt_s": 0.01, "station_id": "CABLE", "unit": "strain / s"}
    return io.make_patch(onset().numpy()[0, 0], **options)


def _unmatched(picks: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Picks well above the threshold without a pick of the same phase within a sample and `LARGEST`."""
    pairs = picks.merge(others, on=["channel_index", "phase_type"], suffixes=("", "_other"))
    apart_s = (pairs["phase_time"] - pairs["phase_time_other"]).dt.total_seconds().abs()
    near = (apart_s <= 0.02) & ((pairs["phase_score"] - pairs["phase_score_other"]).abs() < LARGEST)
    clear = picks["phase_score"] > 0.3 + LARGEST
    return picks[clear & ~picks["pick_id"].isin(pairs.loc[near, "pick_id"])]


@pytest.mark.parametrize("name", RECORDS)
def test_scores_and_picks_in_bfloat16_are_those_of_float32(name: str, request: pytest.FixtureRequest) -> None:
    picker, record = load_picker(), _record(name, request)
    scores = [picker.annotate(record, precision=one) for one in ("float32", "bfloat16")]
    apart = [np.abs(exact - rounded).to_numpy() for exact, rounded in zip(*scores, strict=True)]
    assert 0 < max(one.max() for one in apart) < LARGEST
    exact, rounded = (picker.pick(record, precision=one) for one in ("float32", "bfloat16"))
    assert len(exact) > 20
    # A plateau of the scores moves its pick by some samples.
    assert len(_unmatched(exact, rounded)) + len(_unmatched(rounded, exact)) <= 0.05 * len(exact)


def test_auto_follows_the_processor_and_no_run_mixes_precisions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {"start_time": "2024-01-01", "dt_s": 0.01, "station_id": "CABLE", "unit": "strain / s"}
    noise = np.random.default_rng(0).standard_normal((8, 1500)).astype(np.float32)
    io.write_quakeflow(io.make_patch(noise, **options), tmp_path / "noise.h5")
    output = tmp_path / "picks.parquet"
    for able, asked, reused, used in (
        ("avx512_f", "auto", False, "float32"),
        ("avx512_bf16", "float32", True, "float32"),
        ("avx512_bf16", "auto", False, "bfloat16"),
        ("avx512_f", "bfloat16", True, "bfloat16"),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {able: True})
        settings = PickSettings(precision=asked)
        report = pick_archive(small_picker(), tmp_path / "noise.h5", output, settings)
        assert (report.reused == report.num_chunks) == reused
        assert read_metadata(output)["settings"]["precision"] == used
