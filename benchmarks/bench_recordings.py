"""bench-v1 and bench-v2: frozen benchmarks of pickers on simulated fibre. Any change makes another version.

bench-v2 has the four kinds of bench-v1 with twice as many recordings, and five kinds more (bench_kinds.py).
Splits share neither cables nor events: every recording has a seed of its own, which draws the cable as well
as the events.
"""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from bench_kinds import KINDS, with_changes

from phasenet_das.errors import ConfigError
from phasenet_das.matching import time_ns
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.write import simulate
from phasenet_das.tables import read_picks

log = logging.getLogger(__name__)

SNR_EDGES_DB = (-np.inf, *range(-20, 35, 5), np.inf)
"""Bins of 5 dB of the truth's ``snr_db``; the first and the last hold all that lies beyond."""

_SEEDS: dict[str, tuple[int, ...]] = {
    "train": tuple(range(1000, 1040)),
    "validation": tuple(range(2000, 2004)),
    "test": (3000, 3001, 3002),
    "quick": (4000,),  # short and of few channels, to try scripts out: its scores say nothing
}
_V1_KINDS = ("distant", "local", "well", "micro")
VERSIONS: dict[str, tuple[tuple[str, ...], dict[str, tuple[int, ...]]]] = {
    "bench-v1": (_V1_KINDS, _SEEDS),
    "bench-v2": (tuple(KINDS), _SEEDS | {"test": tuple(range(3000, 3006))}),
}
"""Kinds and seeds of each benchmark."""
_QUICK_SHARE, _QUICK_CHANNELS = 0.1, 16

# By these the true picks are known; they change when the simulator does.
_TRUTH_DIGESTS = {
    "test-distant-3000": "c9be409a470c",
    "test-distant-3001": "5c72601a3566",
    "test-distant-3002": "41ebfff9c8a2",
    "test-distant-3003": "8d52335b4afb",
    "test-distant-3004": "105c539d0856",
    "test-distant-3005": "1deaeaa25d31",
    "test-local-3000": "5ed5e1223712",
    "test-local-3001": "780e84f33771",
    "test-local-3002": "e6f57378166b",
    "test-local-3003": "6b8f50fd0050",
    "test-local-3004": "14447b46de11",
    "test-local-3005": "bb1dd5d73624",
    "test-well-3000": "8a2c5477664d",
    "test-well-3001": "7c321b288037",
    "test-well-3002": "8ee4408ff30c",
    "test-well-3003": "251e1771ac49",
    "test-well-3004": "79da3d98b01c",
    "test-well-3005": "1d259d2b4f30",
    "test-micro-3000": "f6fedf104461",
    "test-micro-3001": "f1aa9b3f8221",
    "test-micro-3002": "0bc0359cd9b3",
    "test-micro-3003": "9e224bbee8e4",
    "test-micro-3004": "f125c5db267d",
    "test-micro-3005": "8bcef28de743",
    "test-few-3000": "5a2af45a3db5",
    "test-few-3001": "6d6ebaa1c5be",
    "test-few-3002": "0885ca02451e",
    "test-few-3003": "5526c7dc7ca7",
    "test-few-3004": "22398c027126",
    "test-few-3005": "4befd81606a5",
    "test-sequence-3000": "cbe2a4c5a8a0",
    "test-sequence-3001": "d33db69b1eb1",
    "test-sequence-3002": "6051aa8e01ef",
    "test-sequence-3003": "aa278ce7da8e",
    "test-sequence-3004": "bf4cf01c62d6",
    "test-sequence-3005": "04e36c65bead",
    "test-submarine-3000": "379e906f6fd3",
    "test-submarine-3001": "99e96666490d",
    "test-submarine-3002": "abfe7180cfcb",
    "test-submarine-3003": "05b50669d339",
    "test-submarine-3004": "8a105ccda0f5",
    "test-submarine-3005": "0d95f654e7c2",
    "test-glacier-3000": "4421217af375",
    "test-glacier-3001": "666c66e8a39a",
    "test-glacier-3002": "729dd2b5fdb4",
    "test-glacier-3003": "daaa7dff3c06",
    "test-glacier-3004": "6c1d855408bd",
    "test-glacier-3005": "1ebcbfd45ede",
    "test-long-3000": "1a4a6ae0f18a",
    "test-long-3001": "0cbe79f8e7aa",
    "test-long-3002": "7cd4c512e481",
    "test-long-3003": "4f7cd5ab38e3",
    "test-long-3005": "487397ba4c52",
}


@dataclass(frozen=True)
class BenchPart:
    """One recording of the benchmark.

    Attributes
    ----------
    name : str
        ``SPLIT-KIND-SEED``.
    split : str
        ``train``, ``validation`` or ``test``.
    kind : str
        A key of ``KINDS``.
    seed : int
        Draws cable, events and noise.
    config : SimulationConfig
        Every setting.
    """

    name: str
    split: str
    kind: str
    seed: int
    config: SimulationConfig


def bench_parts(split: str, version: str = "bench-v1") -> list[BenchPart]:
    """List the recordings of a split.

    Parameters
    ----------
    split : str
        ``train``, ``validation``, ``test`` or ``quick``.
    version : str
        ``bench-v1`` or ``bench-v2``.

    Returns
    -------
    list of BenchPart
        In the order of kinds, then seeds.

    Raises
    ------
    ConfigError
        The split is unknown.
    """
    kinds, seeds = VERSIONS[version]
    if split not in seeds:
        raise ConfigError(f"unknown split '{split}', expected {', '.join(seeds)}.")
    return [_part(split, kind, seed) for kind in kinds for seed in seeds[split]]


def _part(split: str, kind: str, seed: int) -> BenchPart:
    chosen = KINDS[kind]
    name = f"{split}-{kind}-{seed}"
    sections = with_changes(
        chosen.sections, cable={"station_id": f"{chosen.sections['cable']['station_id']}{seed}"}
    )
    duration_s = chosen.duration_s
    if chosen.num_channels:
        count = chosen.num_channels[seed % len(chosen.num_channels)]
        sections = with_changes(sections, cable={"num_channels": count})
    if split == "quick":
        duration_s *= _QUICK_SHARE
        rates = {k: v / _QUICK_SHARE for k, v in sections["sources"].items() if k.endswith("_per_hour")}
        sections = with_changes(sections, cable={"num_channels": _QUICK_CHANNELS}, sources=rates)
    config = SimulationConfig(
        start_time="2024-03-01T00:00:00",
        duration_s=duration_s,
        sampling_rate_hz=chosen.sampling_rate_hz,
        file_length_s=duration_s,
        **sections,
    )
    return BenchPart(name, split, kind, seed, config)


def make_part(part: BenchPart, cache: str | Path, *, workers: int = 1) -> Path:
    """Simulate a recording of the benchmark, unless the cache holds it.

    Parameters
    ----------
    part : BenchPart
        The recording.
    cache : str or pathlib.Path
        Folder of all recordings of the benchmark.
    workers : int
        Processes.

    Returns
    -------
    pathlib.Path
        Folder with ``data/*.h5``, ``channels.csv``, ``truth_events.csv``, ``truth_picks.parquet``. A warning
        is logged when the true picks of the test set are not those that were frozen.
    """
    digest = hashlib.sha256(
        json.dumps([part.seed, part.config.model_dump(mode="json")], sort_keys=True).encode()
    ).hexdigest()[:12]
    folder = Path(cache) / "recordings" / f"{part.name}-{digest}"
    if not (folder / "truth_picks.parquet").exists():
        simulate(part.config, folder, seed=part.seed, workers=workers)
    if _TRUTH_DIGESTS.get(part.name, truth_digest(folder)) != truth_digest(folder):
        log.warning(
            "%s: the simulator no longer makes the recording that was frozen, so scores are not comparable",
            part.name,
        )
    return folder


def truth_digest(folder: str | Path) -> str:
    """Give a digest of the true picks of a recording, by which a changed simulator shows."""
    table: pd.DataFrame = read_picks(Path(folder) / "truth_picks.parquet")
    rounded = pd.DataFrame(
        {
            "channel": table["channel_index"],
            "phase": table["phase_type"].map({"P": 0, "S": 1}),
            "time_ms": np.rint(time_ns(table["phase_time"]) / 1e6).astype(np.int64),
            "snr_db": np.rint(table["snr_db"]).astype(np.int64),
        }
    ).sort_values(["time_ms", "channel", "phase"])
    return hashlib.sha256(rounded.to_numpy(np.int64).tobytes()).hexdigest()[:12]
