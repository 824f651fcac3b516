"""Make the training windows of the bundled PhaseNet-DAS, beside those of bench-v1 (student_data.py).

    python benchmarks/bundled_data.py --shared ../shared --out results/bundled

Clear fibre sections of real seismometer records, sections of noise with that of real fibres (training adds
one to the other), and recordings of all scenarios over a range of channel spacings and gauge lengths. What is
held out for judging is listed in benchmarks/held_out.yaml. A window that exists is not made again.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from tqdm import tqdm

from phasenet_das import io
from phasenet_das.io.formats.quakeflow import write_quakeflow
from phasenet_das.simulate import RecordSectionConfig, from_records, scenario, simulate
from phasenet_das.simulate.record_sections import SyntheticSection
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, read_picks, write_table
from phasenet_das.training.windows import QUIET

RATE_HZ = 100.0
FIRST_DAY = np.datetime64("2030-01-01T00:00:00", "ns")
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
# Channel spacing and gauge length (m) of the simulated cables.
CABLES = [(1.0, 10.0), (2.0, 4.0), (4.0, 10.0), (8.0, 8.0), (10.0, 30.0), (20.0, 20.0), (50.0, 30.0)]
NAMES = ("demo", "urban", "offshore", "swarm", "hard", "borehole", "glacier")
BOREHOLE_RATES_HZ = (500.0, 1000.0, 2000.0)


def main() -> None:
    """Make sections, then recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("results/bundled"))
    parser.add_argument("--held-out", type=Path, default=Path(__file__).with_name("held_out.yaml"))
    parser.add_argument("--sections", type=int, default=3000)
    parser.add_argument("--noise", type=int, default=1000, help="sections of noise")
    parser.add_argument("--recordings", type=int, default=42)
    parser.add_argument("--channels", type=int, default=300, help="channels of a recording")
    options = parser.parse_args()
    held_out = yaml.safe_load(options.held_out.read_text())
    sources = options.shared / "data", options.out / "sections", held_out
    make_sections(*sources, options.sections, "SECTION_", EVENT, seed=2)
    make_sections(*sources, options.noise, f"SECTION{QUIET}", NOISE, seed=3)
    make_recordings(options.out / "recordings", options.recordings, options.channels)


def training_rows(table: pd.DataFrame, held_out: dict[str, list[str]]) -> list[int]:
    """List the records of stations that are not held out."""
    station = table["fname"].str.split("_").str[:2].str.join(".")
    kept = ~station.isin(held_out["stations"]) & ~table["fname"].isin(held_out["records"])
    return [int(row) for row in table.loc[kept, "row"]]


def make_sections(
    data: Path,
    folder: Path,
    held_out: dict[str, list[str]],
    count: int,
    name: str,
    settings: dict[str, float],
    *,
    seed: int,
) -> None:
    """Write sections of the seismometer records that may be trained on, and of noise that may be."""
    records = data / "waveforms3c" / "phasenet_ncedc_154.h5"
    rows = training_rows(pd.read_csv(records.with_suffix(".csv")), held_out)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as noise:
        for path in (data / "das_noise").glob("*.h5"):
            if path.name not in held_out["noise"]:
                shutil.copy(path, noise)
        sections = from_records(
            str(records), RecordSectionConfig(**SHAPE, **settings), seed=seed, rows=rows, noise_dir=noise
        )
        for number in tqdm(range(count), desc=name.strip("_"), unit="section"):
            path = folder / f"{name}{number:05d}.h5"
            if not path.exists():
                write_section(sections[number], seed * 100_000 + number, path, quiet=QUIET in name)


def write_section(section: SyntheticSection, number: int, path: Path, *, quiet: bool) -> None:
    """Write one section, its arrivals first; those before its begin or behind its end are known too."""
    begin = FIRST_DAY + np.timedelta64(number, "h")
    arrivals = np.stack([section.p_sample, section.s_sample], axis=1)
    event, phase, row = np.nonzero(np.isfinite(arrivals))
    sample = arrivals[event, phase, row]
    letters = np.array(["P", "S"])[phase]
    when = begin + (sample * section.dt_s * 1e9).astype("timedelta64[ns]")
    write_table(label_table(letters, row, when, event), path.with_suffix(".picks.parquet"))
    patch = io.make_patch(
        section.data.astype(np.float16), start_time=begin, dt_s=section.dt_s, station_id="SECTION", unit="1"
    )
    write_quakeflow(patch.update_attrs(quiet=quiet), path)


def label_table(phase: np.ndarray, row: np.ndarray, when: np.ndarray, event: np.ndarray) -> pd.DataFrame:
    """Make a pick table of true arrivals."""
    values: dict[str, Any] = dict.fromkeys(PICK_COLUMNS, np.nan)
    values |= {
        "pick_id": make_pick_ids("SECTION", row, phase, when.astype("datetime64[ns]").astype(np.int64)),
        "station_id": "SECTION",
        "channel_index": row,
        "phase_time": pd.to_datetime(when, utc=True),
        "phase_type": phase,
        "phase_score": 1.0,
        "event_index": event,
    }
    return conform(pd.DataFrame(values), PICK_COLUMNS, "labels")


def make_recordings(folder: Path, count: int, channels: int) -> None:
    """Simulate recordings of every scenario, each on a cable of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(count), desc="recordings", unit="recording"):
        path = folder / f"recording-{number:03d}.h5"
        if path.exists():
            continue
        name = NAMES[number % len(NAMES)]
        config = scenario(name, **overrides(name, number // len(NAMES), channels))
        with tempfile.TemporaryDirectory() as scratch:
            simulate(config, scratch, seed=50_000 + number)
            write_recording(Path(scratch), config.sampling_rate_hz, number, path)


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


def write_recording(source: Path, rate_hz: float, number: int, path: Path) -> None:
    """Write a recording with its truth, on the time axis on which a network of 100 Hz sees it."""
    patch = io.read(next((source / "data").glob("*.h5")))
    begin = FIRST_DAY - np.timedelta64(number + 1, "D")
    factor = rate_hz / RATE_HZ
    truth = read_picks(source / "truth_picks.parquet")
    since = (truth["phase_time"] - pd.Timestamp(io.get_times(patch)[0], tz="UTC")).dt.total_seconds() * factor
    when = begin + (since.to_numpy() * 1e9).astype("timedelta64[ns]")
    columns = (truth[name].to_numpy() for name in ("phase_type", "channel_index", "event_index"))
    phase, channel, event = columns
    write_table(label_table(phase, channel, when, event), path.with_suffix(".picks.parquet"))
    slow = io.make_patch(
        io.get_data(patch),
        start_time=begin,
        dt_s=1 / RATE_HZ,
        channel_index=io.get_channel_index(patch),
        station_id=json.dumps(number),
        unit=io.get_unit(patch),
    )
    write_quakeflow(slow, path)


if __name__ == "__main__":
    main()
