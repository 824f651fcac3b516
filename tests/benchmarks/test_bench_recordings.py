"""The benchmarks are frozen: whole settings, separate splits, a digest that changes when anything does."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
from bench_kinds import KINDS
from bench_recordings import SNR_EDGES_DB, VERSIONS, bench_parts, make_part, truth_digest

from phasenet_das.errors import ConfigError
from phasenet_das.evaluate import evaluate_picks
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.tables import read_channels, read_picks

FROZEN = {"bench-v1": "7beccb726ac9ac4c", "bench-v2": "d6385386e963ccf5"}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_definition_has_not_changed(version: str) -> None:
    splits = ("train", "validation", "test")
    parts = [[p.name, p.seed] for split in splits for p in bench_parts(split, version)]
    kinds = [
        [
            name,
            k.sections,
            k.duration_s,
            k.sampling_rate_hz,
            k.tolerance_s,
            k.pick.model_dump(exclude_unset=True),
            *k.num_channels,
        ]
        for name, k in KINDS.items()
        if name in VERSIONS[version][0]
    ]
    text = json.dumps([parts, kinds, [str(edge) for edge in SNR_EDGES_DB]], sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == FROZEN[version], "a change makes another version"


def test_no_setting_is_left_to_the_simulators_defaults() -> None:
    for kind in KINDS.values():
        for section, values in kind.sections.items():
            fields = SimulationConfig.model_fields[section].annotation.model_fields  # type: ignore[union-attr]
            assert set(values) == set(fields), section
        assert set(kind.sections) == {"cable", "earth", "sources", "waves", "noise", "traffic", "faults"}


def test_splits_share_neither_cables_nor_events() -> None:
    seeds = [{part.seed for part in bench_parts(split)} for split in ("train", "validation", "test")]
    assert not seeds[0] & seeds[1] | seeds[0] & seeds[2] | seeds[1] & seeds[2]
    with pytest.raises(ConfigError, match="train, validation, test"):
        bench_parts("tests")


def test_a_part_is_made_once_and_always_alike(tmp_path: Path) -> None:
    part = bench_parts("test")[-1]
    small = replace(
        part,
        config=part.config.model_copy(
            update={
                "duration_s": 3.0,
                "file_length_s": 3.0,
                "sampling_rate_hz": 500.0,
                "cable": part.config.cable.model_copy(update={"num_channels": 12}),
                "sources": part.config.sources.model_copy(update={"events_per_hour": 2400.0}),
            }
        ),
    )
    folder = make_part(small, tmp_path)
    changed = (folder / "truth_picks.parquet").stat().st_mtime_ns
    assert make_part(small, tmp_path) == folder
    assert (folder / "truth_picks.parquet").stat().st_mtime_ns == changed
    again = make_part(small, tmp_path / "again")
    assert truth_digest(folder) == truth_digest(again)
    assert truth_digest(make_part(replace(small, seed=5), tmp_path)) != truth_digest(folder)
    assert len(read_channels(folder / "channels.csv")) == 12
    truth = read_picks(folder / "truth_picks.parquet")
    table = evaluate_picks(truth, truth, tolerance_s=KINDS["micro"].tolerance_s, num_bootstrap=20).table
    assert (table["f1"] == 1).all()


def test_a_changed_recording_is_noticed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    part = bench_parts("test")[-1]
    config = part.config.model_copy(
        update={"duration_s": 2.0, "file_length_s": 2.0, "sampling_rate_hz": 500.0}
    )
    make_part(replace(part, config=config), tmp_path)
    assert "no longer makes the recording that was frozen" in caplog.text
