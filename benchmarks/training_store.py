"""Windows for training that are simulated while the training runs, by processes of their own.

Sections of real seismometer records, sections of noise, and recordings of scenarios and of the training split
of the benchmarks come in turn. Window `n` is the same for any number of processes. A turn whose file exists
is not made again.
"""

from __future__ import annotations

import argparse
import itertools
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from bench_kinds import KINDS
from bench_recordings import bench_parts

from phasenet_das.config import PickSettings
from phasenet_das.picking.preprocess import condition
from phasenet_das.simulate import RecordSectionConfig, Simulation, SimulationConfig, load_records, scenario
from phasenet_das.simulate.noise import load_noise
from phasenet_das.simulate.record_sections import RecordSections

RATE_HZ = 100.0
SHAPE = {"num_channels": 128, "num_samples": 6144}
EVENT = {
    "lag_min_s": 0.3,
    "lag_max_s": 40.0,
    "snr_min_db": 5.0,
    "snr_max_db": 40.0,
    "noise_only": 0.0,
    "near": 0.4,
    "lone": 0.0,
    "converted": 0.4,
}
NOISE = {"noise_only": 1.0, "traffic": 0.3}
SECTIONS_AT_A_TIME = 8
# Channel spacing and gauge length (m) of the simulated cables.
CABLES = [(1.0, 10.0), (2.0, 4.0), (4.0, 10.0), (8.0, 8.0), (10.0, 30.0), (20.0, 20.0), (50.0, 30.0)]
BOREHOLE_RATES_HZ = (500.0, 1000.0, 2000.0)
SCENARIOS = ("demo", "urban", "offshore", "swarm", "hard", "borehole", "glacier")
# Cables in wells and steep fronts come most often: there pickers are worst.
TURNS = (
    *("borehole", "glacier", "micro", "demo", "ringing borehole", "few", "sequence", "local", "well"),
    *("ringing micro", "noisy glacier", "swarm", "borehole", "distant", "hard", "ringing borehole"),
    *("glacier", "submarine", "urban", "ringing well", "micro", "noisy glacier", "offshore", "ringing micro"),
)
# In wells the coda of P is long and coherent, and S is barely larger. Energy of the coda, to that of P.
RINGING = (5.0, 10.0, 20.0)
# Amplitudes of the noise of the instrument, to those of the scenario.
NOISIER = (2.0, 4.0)
CHANNELS = 300
_HIGHEST = 60_000.0  # float16 ends at 65,504


@dataclass(frozen=True)
class StoredWindow:
    """One window: float16 samples of median rms one, and every arrival, also those outside."""

    kind: str  # "section", "noise", or that of a recording
    data: np.ndarray  # (channel, time) float16
    arrivals: np.ndarray  # (event, 2, channel) float32, samples; P and S
    live: np.ndarray  # (channel,) bool


def load_windows(path: Path) -> list[StoredWindow]:
    """Read the windows of a turn, which hold no class of this script: another script may read them."""
    return [StoredWindow(*window) for window in pickle.loads(path.read_bytes())]  # noqa: S301 - our own file


def kind_of(turn: int) -> str:
    """Name what a turn makes: sections, noise or recordings."""
    return "sections" if turn % 2 == 0 else "noise" if turn % 8 == 3 else "recordings"


def training_rows(table: pd.DataFrame, held_out: dict[str, list[str]]) -> list[int]:
    """List the records of stations that are not held out."""
    station = table["fname"].str.split("_").str[:2].str.join(".")
    kept = ~station.isin(held_out["stations"]) & ~table["fname"].isin(held_out["records"])
    return [int(row) for row in table.loc[kept, "row"]]


def read_noise(source: Path, held_out: list[str], rate_hz: float = RATE_HZ) -> list[np.ndarray]:
    """Read the recordings of noise that may be trained on, or a file of them; (channel, time) float32."""
    if source.is_file():
        with np.load(source) as arrays:
            return [arrays[name].astype(np.float32) for name in arrays]
    with tempfile.TemporaryDirectory() as scratch:
        for path in source.glob("*.h5"):
            if path.name not in held_out:
                shutil.copy(path, scratch)
        return load_noise(scratch, rate_hz)


class WindowMaker:
    """Makes the windows of a turn."""

    def __init__(self, records: Path, noise: list[np.ndarray], held_out: dict[str, list[str]]) -> None:
        rows = training_rows(pd.read_csv(records.with_suffix(".csv")), held_out)
        known = load_records(str(records), rows)
        self._events = RecordSections(known, RecordSectionConfig(**SHAPE, **EVENT), 12, noise)
        self._noise = RecordSections(known, RecordSectionConfig(**SHAPE, **NOISE), 13, noise)

    def __call__(self, turn: int) -> list[StoredWindow]:
        """Make sections, sections of noise, or a recording."""
        if kind_of(turn) == "sections":
            return self._sections(self._events, "section", turn // 2)
        if kind_of(turn) == "noise":
            return self._sections(self._noise, "noise", turn // 8)
        number = turn // 8 * 3 + (1, 5, 7).index(turn % 8)
        return [recording(TURNS[number % len(TURNS)], number)]

    def _sections(self, source: RecordSections, kind: str, number: int) -> list[StoredWindow]:
        made = []
        for index in range(number * SECTIONS_AT_A_TIME, (number + 1) * SECTIONS_AT_A_TIME):
            section = source[index]
            arrivals = np.stack([section.p_sample, section.s_sample], axis=1)
            live = ~np.isnan(arrivals).any(axis=(0, 1)) & (np.ptp(section.data, axis=1) > 0)
            made.append(stored(kind, section.data, arrivals, live))
        return made


def recording(kind: str, number: int) -> StoredWindow:
    """Simulate a recording, on the time axis on which a network of 100 Hz sees it."""
    change, _, place = kind.rpartition(" ")
    # The wells of a round have different cables and rates, and the next round has others.
    step = number // len(TURNS) + TURNS[: number % len(TURNS)].count(kind)
    if place in SCENARIOS:
        config, seed = scenario(place, **overrides(place, step, CHANNELS)), 60_000 + number
        settings = PickSettings()
    else:
        parts = [part for part in bench_parts("train", "bench-v2") if part.kind == place]
        part = parts[number // len(TURNS) % len(parts)]
        config, seed, settings = part.config, part.seed, KINDS[place].pick
    if change:
        config, seed = harder(config, change, step), 70_000 + number
    return simulated(kind, config, seed, settings)


def overrides(name: str, step: int, channels: int) -> dict[str, Any]:
    """Give what departs from the scenario: one file, few channels, any spacing, any rate in a well."""
    spacings = CABLES[:3] if name == "borehole" else CABLES[2:] if name == "glacier" else CABLES
    dx_m, gauge_length_m = spacings[step % len(spacings)]
    seconds = 60.0 if name in ("borehole", "glacier") else 300.0
    # Each well has another rate when its cable comes again.
    rates = {"sampling_rate_hz": BOREHOLE_RATES_HZ[(step // 3 + step) % 3]} if name == "borehole" else {}
    return {
        **rates,
        "duration_s": seconds,
        "file_length_s": seconds,
        "cable": {"num_channels": channels, "dx_m": dx_m, "gauge_length_m": gauge_length_m},
        "faults": {"num_gaps": 0, "clock_jump_s": 0.0, "wrong_metadata": False},
    }


def harder(config: SimulationConfig, change: str, step: int) -> SimulationConfig:
    """Give P a long coherent coda (ringing), or the instrument more noise (noisy)."""
    values = config.model_dump()
    if change == "ringing":
        values["waves"]["multipath"] = RINGING[step % len(RINGING)]
    else:
        values["noise"]["optical_rms"] *= NOISIER[step % len(NOISIER)]
    return SimulationConfig(**values)


def simulated(kind: str, config: SimulationConfig, seed: int, settings: PickSettings) -> StoredWindow:
    """Simulate the samples and arrivals of a recording."""
    simulation = Simulation(config, seed)
    rate_hz = config.sampling_rate_hz
    ready = condition(simulation.samples(0, config.num_samples), 1.0 / rate_hz, "1/s", settings)
    felt = simulation.cable.coupled & ~simulation.dead
    arrivals = [
        np.stack([times.p_s, times.s_s]) + simulation.event(index).origin_s
        for index, times in enumerate(simulation.arrivals)
    ]
    samples = np.array(arrivals, np.float64).reshape(-1, 2, len(felt)) * rate_hz
    return stored(kind, ready.data, samples, felt & (np.ptp(ready.data, axis=1) > 0))


def stored(kind: str, data: np.ndarray, arrivals: np.ndarray, live: np.ndarray) -> StoredWindow:
    """Scale to a median rms of one; silence dead channels."""
    centred = data - data.mean(axis=1, keepdims=True)
    level = float(np.median(centred[live].std(axis=1))) if live.any() else 1.0
    values = np.clip(centred / max(level, 1e-30), -_HIGHEST, _HIGHEST) * live[:, None]
    times = np.where(np.isnan(arrivals), np.inf, arrivals).astype(np.float32)
    return StoredWindow(kind, values.astype(np.float16), times, live)


@contextmanager
def makers(folder: Path, processes: int, arguments: list[str]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Let processes write windows into `folder` meanwhile."""
    folder.mkdir(parents=True, exist_ok=True)
    # Not by multiprocessing, whose children would import what the training imports.
    command = [sys.executable, __file__, "--folder", str(folder), "--step", str(processes), *arguments]
    started = [subprocess.Popen([*command, "--first", str(number)]) for number in range(processes)]  # noqa: S603
    try:
        yield started
    finally:
        for process in started:
            process.terminate()
            process.wait()


def main() -> None:
    """Make windows until stopped."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--noise", type=Path, help="noise that was read before (.npz)")
    parser.add_argument("--held-out", type=Path, default=Path(__file__).with_name("held_out.yaml"))
    parser.add_argument("--folder", type=Path, default=Path("results/training_store"))
    parser.add_argument("--first", type=int, default=0, help="first turn")
    parser.add_argument("--step", type=int, default=1, help="from a turn to the next")
    parser.add_argument("--end", type=int, help="turn before which it ends")
    options = parser.parse_args()
    held_out = yaml.safe_load(options.held_out.read_text())
    data = options.shared / "data"
    noise = read_noise(options.noise or data / "das_noise", held_out["noise"])
    options.folder.mkdir(parents=True, exist_ok=True)
    maker = WindowMaker(data / "waveforms3c" / "phasenet_ncedc_154.h5", noise, held_out)
    os.nice(5)
    turns = itertools.count(options.first, options.step)
    for turn in itertools.takewhile(lambda n: options.end is None or n < options.end, turns):
        part = options.folder / f"{turn:06d}.part"
        if part.with_suffix(".pkl").exists():
            continue
        made = [(window.kind, window.data, window.arrivals, window.live) for window in maker(turn)]
        part.write_bytes(pickle.dumps(made, protocol=5))
        part.rename(part.with_suffix(".pkl"))


if __name__ == "__main__":
    main()
