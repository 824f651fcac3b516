"""How fast folders of many files open: `python benchmarks/index_speed.py --files 1000`.

Scans small files in two layouts, scans them again from the index, arranges a year of one-minute files, and
says how large a pick is on disk.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.io.archive import archive_of_index, open_archive
from phasenet_das.io.formats.quakeflow import write_quakeflow
from phasenet_das.io.index import UNKNOWN, Geometry, Index, make_rows, read_index, write_index
from phasenet_das.simulate import scenario, simulate
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, write_table

START = np.datetime64("2024-01-01T00:00:00", "ns")


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--minutes", type=int, default=525_600, help="one-minute files of the long index")
    parser.add_argument("--picks", type=int, default=1_000_000)
    options = parser.parse_args()
    print("| what | figure |\n|---|---|")
    for name, write in (("quakeflow_das", quakeflow_files), ("PRODML", prodml_files)):
        with tempfile.TemporaryDirectory() as scratch:
            folder, index = Path(scratch, "data"), Path(scratch, "index")
            write(folder, options.files)
            seconds = [timed(lambda: open_archive([folder], index=index))[0] for _ in range(2)]  # noqa: B023
            rates = [f"{options.files / value:,.0f} files/s" for value in seconds]
            print(f"| {name}, {options.files} files: first scan, from the index | {', '.join(rates)} |")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch)
        write_index(minutes(options.minutes), path)
        read_s, (index, _) = timed(lambda: read_index(path))
        arrange_s, source = timed(lambda: archive_of_index(index))
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(f"| {options.minutes} one-minute files: read, arrange | {read_s:.1f} s, {arrange_s:.1f} s |")
    print(f"| its index; peak memory more, with making it | {size / 1e6:.1f} MB; {grown:.0f} MB |")
    print(f"| its recordings | {len(source.recordings)} |")
    print(f"| a pick on disk | {pick_bytes(options.picks):.1f} bytes |")


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    """Give the seconds that it took, and its result."""
    begun = time.perf_counter()
    found = work()
    return time.perf_counter() - begun, found


def quakeflow_files(folder: Path, count: int) -> None:
    """Write small files that follow each other."""
    data = np.random.default_rng(0).standard_normal((50, 200)).astype(np.float32)
    for number in range(count):
        begin = START + np.timedelta64(2 * number, "s")
        patch = io.make_patch(data, start_time=begin, dt_s=0.01, station_id="A", unit="1/s")
        write_quakeflow(patch, folder / f"{number:06d}.h5")


def prodml_files(folder: Path, count: int) -> None:
    """Let the simulator write small files that follow each other."""
    sources = {"events_per_hour": 0.0, "blasts_per_hour": 0.0, "distant_per_hour": 0.0}
    config = scenario(
        "easy", duration_s=2.0 * count, file_length_s=2.0, cable={"num_channels": 20}, sources=sources
    )
    simulate(config, folder, seed=0)
    for path in (folder / "data").iterdir():
        path.rename(folder / path.name)


def minutes(count: int) -> Index:
    """Make the index of one-minute files that do not exist."""
    starts = START.astype(np.int64) + np.arange(count) * 60_000_000_000
    names = np.char.add(np.char.zfill(np.arange(count).astype(str), 6), ".h5").tolist()
    facts = {"size": 1, "mtime_ns": 0, "key": "k", "status": "ok", "station_id": "A", "dt_s": 0.005}
    facts |= {"num_samples": 12_000, "geometry": "g", "unit": "m/s"}
    table = pd.DataFrame({"path": names}).assign(**{**UNKNOWN, **facts, "start_ns": starts})
    return Index(make_rows(table), {"g": Geometry(1000, dx_m=10.0)})


def pick_bytes(count: int) -> float:
    """Write picks of many channels, and give the bytes of one."""
    rng = np.random.default_rng(0)
    channel = rng.integers(0, 10_000, count)
    sample = np.sort(rng.integers(0, 360_000_000, count))
    phase = np.where(rng.random(count) < 0.5, "P", "S")
    values: dict[str, Any] = dict.fromkeys(PICK_COLUMNS, np.nan)
    values |= {
        "pick_id": make_pick_ids("A", channel, phase, sample),
        "station_id": "A",
        "channel_index": channel,
        "distance_m": channel * 10.0,
        "phase_time": pd.to_datetime(START + (sample * 10_000_000).astype("timedelta64[ns]"), utc=True),
        "phase_type": phase,
        "phase_score": rng.uniform(0.3, 1, count).astype(np.float32),
        "phase_amplitude": rng.lognormal(size=count).astype(np.float32),
        "event_index": -1,
    }
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch, "picks.parquet")
        write_table(conform(pd.DataFrame(values), PICK_COLUMNS, "picks"), path, {})
        return path.stat().st_size / count


if __name__ == "__main__":
    main()
