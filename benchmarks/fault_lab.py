"""What the fault campaign works on: a small record, the run that nothing disturbs, and how others compare."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import torch

from phasenet_das import io
from phasenet_das.models import PhaseNetDAS
from phasenet_das.models.weights import save_weights
from phasenet_das.tables import read_coverage, read_picks

_FILES, _FILE_S, _CHANNELS, _DT_S = 12, 30, 60, 0.01
_START = pd.Timestamp("2024-05-06T23:57:00", tz="UTC")  # midnight lies within
# One rate, so that a chunk sees no farther than the widths of holes below.
_SETTINGS = "continuous:\n  chunk_s: 8.0\n  chunk_channels: 30\npick:\n  rate: 100.0\n"
_REACH_S, _REACH_CHANNELS = 6.0, 24  # beyond what the small network and its normalisation see
_MIN_SCORE, _SCORE_TOLERANCE = 0.3, 1e-3
SEED = 7
_ARCHITECTURE: dict[str, Any] = {
    "widths": (4, 6, 8),
    "strides": ((2, 4), (2, 2), (1, 2)),
    "kernels": ((3, 5), (3, 3), (1, 3)),
    "depths": (1, 0, 2),
}


Harm = Callable[["Lab"], object]


@dataclass(frozen=True)
class Hole:
    """What a fault takes: seconds and channels, half open; `silent`: nothing can be picked there."""

    seconds: tuple[float, float]
    channels: tuple[int, int] = (0, _CHANNELS)
    silent: bool = True

    def holds(self, picks: pd.DataFrame, time: float = 0.0, channels: int = 0) -> pd.Series:
        """Tell the picks in it, when it is widened."""
        at = (picks["phase_time"] - _START).dt.total_seconds()
        inside = (at >= self.seconds[0] - time) & (at < self.seconds[1] + time)
        first, end = self.channels
        return inside & picks["channel_index"].between(first - channels, end - 1 + channels)


@dataclass(frozen=True)
class Outcome:
    """One row of the table."""

    what: str
    lost: int = 0
    doubled: int = 0
    reused: str = "-"
    wrong: str = ""


@dataclass(frozen=True)
class Ended:
    """A run that has ended."""

    code: int
    text: str

    @property
    def reused(self) -> tuple[int, int]:
        """Parts that were there, and all."""
        found = re.search(r"\((\d+) of (\d+) \w+ were there\)", self.text)
        return (int(found[1]), int(found[2])) if found else (0, 0)


class Lab:
    """A copy of the record and of the finished run for one fault."""

    def __init__(self, root: Path, name: str) -> None:
        self.root, self.folder = root, root / re.sub(r"\W+", "-", name)
        self.raw, self.output = self.folder / "raw", self.folder / "out" / "picks.parquet"
        self.chunks = self.output.with_name("picks.parquet.chunks")
        self.held: list[h5py.File] = []
        shutil.copytree(root / "raw", self.raw)

    @property
    def num_chunks(self) -> int:
        """Number of chunks of the undisturbed run."""
        return len(list((self.root / "reference").rglob("??/*.parquet")))

    def file(self, number: int) -> Path:
        """Give a file of the record."""
        return self.raw / f"{number:02d}.h5"

    def reuse(self) -> Lab:
        """Begin with the chunks of the undisturbed run."""
        shutil.copytree(self.root / "reference" / "picks.parquet.chunks", self.chunks)
        return self

    def start(self, *options: str, limit: int | None = None) -> subprocess.Popen[str]:
        """Start the command; `limit`: largest file it may write, bytes."""

        def lower() -> None:
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        return subprocess.Popen(  # noqa: S603
            command(self.root, self.raw, self.output, *options),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=lower,  # noqa: PLW1509 - one thread
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )

    def run(self, *options: str, limit: int | None = None) -> Ended:
        """Run the command to its end."""
        return ended(self.start(*options, limit=limit))

    def let_an_hour_pass(self) -> None:
        """Age the files that killed processes left half written: a run sweeps only those of an hour ago."""
        for path in self.folder.rglob(".*.tmp"):
            os.utime(path, (time.time() - 3700.0,) * 2)

    def written(self) -> dict[str, int]:
        """Give the chunks that are there, with the time of writing."""
        return {path.stem: path.stat().st_mtime_ns for path in self.chunks.glob("??/*.parquet")}

    def judge(self, run: Ended, what: str, *, hole: Hole | None = None, least: int = 0) -> Outcome:
        """Compare with the undisturbed run; `least`: chunks that must have been reused."""
        if run.code != 0:
            return Outcome(what, wrong=f"exit code {run.code}: {run.text.strip()[-300:]}")
        expected, found = read_picks(self.root / "reference" / "picks.parquet"), read_picks(self.output)
        lost, doubled, wrong = compare(expected, found, hole)
        reused, count = run.reused
        if reused < least:
            wrong = wrong or f"only {reused} chunks reused"
        if left := [path.name for path in self.folder.rglob(".*.tmp")] + list(self.chunks.glob("*.pkl")):
            wrong = wrong or f"left behind: {left[0]}"
        return Outcome(what, lost, doubled, f"{reused} of {count}" if count else "0", wrong)

    def named(self, outcome: Outcome, status: str, *words: str) -> Outcome:
        """Demand a row of the coverage table."""
        table = read_coverage(self.output.with_suffix(".coverage.csv"))
        rows = table[table["status"] == status]
        text = (rows["reason"] + " " + rows["source"]).tolist()
        if outcome.wrong or any(all(word in one for word in words) for one in text):
            return outcome
        return replace(outcome, wrong=f"no {status} row with {words}")


def command(root: Path, raw: Path, output: Path, *options: str) -> list[str]:
    """Give the command line."""
    run = [sys.executable, "-m", "phasenet_das.cli", "pick", str(raw), "-o", str(output)]
    return [*run, "--config", str(root / "settings.yaml"), "--weights", str(root / "weights"), *options]


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for a process."""
    text, _ = process.communicate(timeout=300)
    return Ended(process.returncode, text)


def compare(expected: pd.DataFrame, found: pd.DataFrame, hole: Hole | None) -> tuple[int, int, str]:
    """Count picks lost and doubled (or new); picks at the threshold may differ, and those by a hole."""
    doubled, wrong = int(found["pick_id"].duplicated().sum()), ""
    if hole is not None:
        if hole.silent and hole.holds(found).any():
            wrong = f"{hole.holds(found).sum()} picks where there is no data"
        expected, found = (
            table[~hole.holds(table, _REACH_S, _REACH_CHANNELS)] for table in (expected, found)
        )
    clear = _MIN_SCORE + _SCORE_TOLERANCE
    missing = expected[~expected["pick_id"].isin(found["pick_id"]) & (expected["phase_score"] >= clear)]
    new = found[~found["pick_id"].isin(expected["pick_id"]) & (found["phase_score"] >= clear)]
    both = expected.merge(found, on="pick_id", suffixes=("", "_found"))
    moved = (both["phase_time"] - both["phase_time_found"]).dt.total_seconds().abs() > _DT_S
    moved |= (both["phase_score"] - both["phase_score_found"]).abs() > _SCORE_TOLERANCE
    if moved.any() or len(both) < 1000:
        wrong = wrong or f"{moved.sum()} of {len(both)} common picks differ in time or score"
    return len(missing), doubled + len(new), wrong


def make_record(root: Path) -> None:
    """Write the record, the small random network and the settings."""
    rng = np.random.default_rng(SEED)
    data = rng.standard_normal((_CHANNELS, round(_FILES * _FILE_S / _DT_S))).astype(np.float32)
    wavelet = (8 * np.exp(-np.arange(300) / 80) * np.sin(np.arange(300) / 2)).astype(np.float32)
    for onset in rng.integers(500, data.shape[1] - 1000, 40):
        for channel in range(_CHANNELS):
            data[channel, onset + 3 * channel : onset + 3 * channel + 300] += wavelet
    for number in range(_FILES):
        write_file(root / "raw" / f"{number:02d}.h5", data, number * _FILE_S, (number + 1) * _FILE_S)
    np.save(root / "record.npy", data)
    torch.manual_seed(5)
    model = PhaseNetDAS(**_ARCHITECTURE).eval()
    with torch.no_grad():
        model.head.weight.mul_(8.0)  # sharpened, so that it picks something anywhere
    facts: dict[str, Any] = {
        "phases": "NPS",
        "component_order": "1",
        "normalization": "moving",
        "window_samples": 300,
    }
    save_weights(
        root / "weights",
        model,
        architecture="phasenet-das",
        model_args=_ARCHITECTURE,
        sampling_rate_hz=1 / _DT_S,
        provenance={"licence": "none: random numbers"},
        **facts,
    )
    (root / "settings.yaml").write_text(_SETTINGS)


def write_file(path: Path, data: np.ndarray, start_s: float, end_s: float, *, step: int = 1) -> None:
    """Write a span of the record, every `step`-th sample of it."""
    span = data[:, round(start_s / _DT_S) : round(end_s / _DT_S) : step]
    start, dt_s = _START + pd.Timedelta(seconds=start_s), _DT_S * step
    facts: dict[str, Any] = {"station_id": "CABLE", "unit": "strain / s"}
    io.write_quakeflow(io.make_patch(span, start_time=start, dt_s=dt_s, **facts), path)


def span_of(number: int) -> tuple[float, float]:
    """Give the seconds of a file."""
    return number * float(_FILE_S), (number + 1) * float(_FILE_S)


def run_reference(root: Path) -> int:
    """Pick the record undisturbed, and count the picks."""
    output = root / "reference" / "picks.parquet"
    subprocess.run(command(root, root / "raw", output), check=True, capture_output=True)  # noqa: S603
    return len(read_picks(output))
