"""Speed and memory of picking continuous data, of files, of commands and of the association.

    python benchmarks/continuous_speed.py                    # the whole table, 5 minutes on two free cores
    python benchmarks/continuous_speed.py --before ../old    # beside that of another checkout, 9 minutes
    python benchmarks/continuous_speed.py student --channels 10000 --minutes 10
    python benchmarks/continuous_speed.py student --channels 2000 --minutes 1 --files prodml --compress

Networks have random weights, and samples are noise, made on the fly or read from files.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from phasenet_das.config import ContinuousSettings, PickSettings
from phasenet_das.io import open_archive
from phasenet_das.io.recording import Recording, recording_of_function
from phasenet_das.models import PhaseNet, PhaseNetDAS, Weights
from phasenet_das.picking import Picker
from phasenet_das.picking.run import PickRun, pick_chunks
from phasenet_das.picking.store import ChunkStore, write_merged

_RATE_HZ = 100.0
_DX_M = 8.0
_START_NS = 1_714_979_400_000_000_000
_GAIN = {"student": 2.0, "teacher": 6.0}
_PATTERN = np.random.default_rng(0).standard_normal((257, 10_007)).astype(np.float32)


def noise(channels: slice, samples: slice) -> np.ndarray:
    """Noise that is the same for the same sample, as cheap as reading a file."""
    first, end = samples.start, samples.stop
    rows = np.arange(channels.start, channels.stop)
    out = np.empty((len(rows), end - first), np.float32)
    for k, row in enumerate(rows):
        pattern, offset = _PATTERN[row % 257], (first + 13 * row) % 10_007
        done = 0
        while done < end - first:
            count = min(end - first - done, 10_007 - offset)
            out[k, done : done + count] = pattern[offset : offset + count]
            done, offset = done + count, 0
    return out


def random_picker(kind: str) -> Picker:
    """Make a network of the shape that ships, with random weights."""
    import torch  # after phasenet_das, which tells its threads how to wait

    torch.manual_seed(0)
    if kind == "teacher":
        model, facts = PhaseNet(in_channels=3), ("phasenet", "ENZ", "std", 3000)
    else:
        model, facts = PhaseNetDAS(), ("phasenet-das", "1", "moving", 2000)
    architecture, order, normalization, window = facts
    with torch.no_grad():  # sharpened, so that something is picked
        (model.head if kind == "student" else model.out).weight.mul_(_GAIN[kind])
    kept = (_RATE_HZ, "NPS", order, normalization, window, "0" * 64)
    weights = Weights(kind, architecture, model.eval(), *kept)
    return Picker(weights)


def generated(channels: int, num_samples: int) -> Recording:
    """Make a recording of noise."""
    return recording_of_function(
        station_id="BENCH",
        start_time=np.datetime64(_START_NS, "ns"),
        dt_s=1 / _RATE_HZ,
        num_samples=num_samples,
        channel_index=np.arange(channels),
        distance_m=np.arange(channels) * _DX_M,
        generate=noise,
    )


def written(folder: Path, layout: str, channels: int, num_samples: int, *, compress: bool) -> Recording:
    """Write noise into a file, and open that."""
    times_us = _START_NS // 1000 + np.arange(num_samples) * 10_000
    data = noise(slice(0, channels), slice(0, num_samples))
    settings = {"chunks": True, "compression": "gzip", "compression_opts": 1} if compress else {}
    with h5py.File(folder / "noise.h5", "w") as file:
        if layout == "quakeflow":
            made = file.create_dataset("data", data=data, **settings)
            first, end = (str(np.datetime64(int(t), "us")) for t in (times_us[0], times_us[-1] + 10_000))
            made.attrs.update({"begin_time": first, "end_time": end, "dt_s": 0.01, "dx_m": _DX_M})
            made.attrs.update({"unit": "1/s", "station_id": "BENCH", "first_channel": 0})
        else:
            group = file.create_group("Acquisition")
            group.attrs.update(
                {"NumberOfLoci": channels, "StartLocusIndex": 0, "schemaVersion": b"2.0", "PulseRate": 4e3}
            )
            group.attrs.update({"SpatialSamplingInterval": _DX_M, "SpatialSamplingIntervalUnit": b"m"})
            raw = group.create_group("Raw[0]")
            raw.attrs.update({"RawDataUnit": b"rad", "OutputDataRate": _RATE_HZ})
            made = raw.create_dataset("RawData", data=data.T, **settings)
            made.attrs["Dimensions"] = np.array([b"time", b"locus"])
            ends = [
                str(np.datetime64(int(t), "us")).encode() + b"+00:00" for t in (times_us[0], times_us[-1])
            ]
            raw["RawDataTime"] = times_us
            raw["RawDataTime"].attrs.update({"PartStartTime": ends[0], "PartEndTime": ends[1]})
    (recording,) = open_archive(folder / "noise.h5").recordings
    return recording


def measure(given: argparse.Namespace) -> dict[str, object]:
    """Pick noise, and return how fast and in how much memory."""
    import torch  # after phasenet_das, as above

    kind, channels, workers = given.kind, given.channels, given.workers
    num_samples = round(given.minutes * 60 * _RATE_HZ)
    picker = random_picker(kind)
    # Random weights pick either everywhere or nowhere: a threshold with about one pick a channel and minute.
    seen = {"rate": "model", "average_channels": 1} if given.one_rate else {}
    run = PickRun.of(
        picker.chunk_picker(PickSettings(min_score=0.9, precision=given.precision, **seen)),
        ContinuousSettings(chunk_samples=given.chunk_samples),
    )
    with tempfile.TemporaryDirectory() as folder:
        if given.files:
            record = written(Path(folder), given.files, channels, num_samples, compress=given.compress)
        else:
            record = generated(channels, num_samples)
        store = ChunkStore(Path(folder) / "parts")
        submit = None
        if workers > 1:
            from phasenet_das.picking.dask import DaskSubmit

            submit = DaskSubmit(run, [record], store.folder, device=picker.device, workers=workers)
        begin, busy = time.perf_counter(), time.process_time()
        found = pick_chunks(run, [record], store, submit=submit)
        summary = write_merged(store, found.chunks, Path(folder) / "picks.parquet", {})
        seconds, busy = time.perf_counter() - begin, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return {
        "network": kind,
        "channels": channels,
        "minutes": given.minutes,
        "rates": "one" if given.one_rate else "by the rule",
        "precision": given.precision,
        "workers": workers,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "cpu_s": round(busy, 1),
        "x_real_time": round(given.minutes * 60 / seconds, 2),
        "million_samples_per_s": round(record.num_samples * channels / seconds / 1e6, 2),
        "peak_gb": round(peak, 2),
        "parts": len(found.chunks),
        "picks": summary.num_picks,
        "stage_s": {name: round(value, 1) for name, value in found.times.seconds.items()},
    }


class Row(NamedTuple):
    """One line of the table: a script, and how its JSON is shown."""

    name: str
    aim: str
    shown: Callable[[dict[str, Any]], str]
    command: list[str]


def picked(found: dict[str, Any]) -> str:
    """Show a picking run."""
    stages = ", ".join(f"{name} {value:g}" for name, value in found["stage_s"].items())
    speed = f"{found['x_real_time']:.1f} x, {found['cpu_s']:.0f} CPU-s, {found['peak_gb']:.2f} GB"
    return f"{speed} ({stages} s)"


def scored(found: dict[str, Any]) -> str:
    """Show a pass of a network."""
    return f"{found['speed']:.1f} million samples a CPU-s"


def associated(found: dict[str, Any]) -> str:
    """Show an association."""
    return f"{found['cpu_s']:.1f} CPU-s, {found['wall_s']:.1f} s, {found['peak_mb']:.0f} MB"


def rows(*, quick: bool) -> Iterator[Row]:
    """List all lines."""
    channels, minutes, few = ("64", "0.5", "64") if quick else ("10000", "5", "2000")
    mine = Path(__file__).name
    large = [mine, "student", "--channels", channels, "--minutes", minutes]
    small = [mine, "student", "--channels", few, "--minutes", "1", "--files"]
    yield Row("picking, float32", "7 x, 1.6 GB", picked, large)
    if not quick:
        yield Row("picking, bfloat16", "12 x, 1.6 GB", picked, [*large, "--precision", "bfloat16"])
        yield Row("quakeflow file", "", picked, [*small, "quakeflow"])
        yield Row("quakeflow file, gzip", "", picked, [*small, "quakeflow", "--compress"])
        yield Row("PRODML file", "", picked, [*small, "prodml"])
    yield Row("PRODML file, gzip", "", picked, [*small, "prodml", "--compress"])
    if quick:
        return
    teacher = [mine, "teacher", "--channels", "1000", "--minutes", "2"]
    yield Row("PhaseNet, 1,000 channels", "", picked, teacher)
    for precision, shape in itertools.product(("float32", "bfloat16"), ("default", "eqnet")):
        case = {"variant": shape, "bfloat16": precision == "bfloat16", "repeats": 3}
        command = ["network_speed.py", "--case", json.dumps(case)]
        yield Row(f"network alone: {shape}, {precision}", "", scored, command)
    aims = {"scale_10k": "0.8 CPU-s", "network_x100": "40 CPU-s, 600 MB"}
    for case_name, workers in (("scale_10k", "1"), ("network_x100", "1"), ("network_x100", "2")):
        aim = aims[case_name] if workers == "1" else "1.6 x as fast"
        command = ["association.py", "--no-reference", "--one", case_name, "--workers", workers]
        yield Row(f"association: {case_name}, {workers} worker(s)", aim, associated, command)


def number(row: Row, checkout: Path) -> str:
    """Run a script with the code of a checkout."""
    mine = Path(__file__)
    script = mine if row.command[0] == mine.name else checkout / "benchmarks" / row.command[0]
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, str(script), *row.command[1:]]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        return done.stderr.splitlines()[-1]
    return row.shown(json.loads(done.stdout.splitlines()[-1]))


def table(before: Path | None, *, quick: bool) -> None:
    """Print the table, each line as it is measured; old and new code take turns."""
    checkouts = [*([before.resolve()] if before else []), Path(__file__).resolve().parents[1]]
    print("| measured | aim |" + " before |" * (before is not None) + " now |")
    print("|---|---|" + "---|" * len(checkouts))
    for row in rows(quick=quick):
        cells = [row.name, row.aim, *(number(row, checkout) for checkout in checkouts)]
        print(f"| {' | '.join(cells)} |", flush=True)
    if quick:
        return
    for checkout in checkouts:
        print(f"\nStart-up, {checkout.name}:\n", flush=True)
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        script = str(checkout / "benchmarks" / "start_up.py")
        subprocess.run([sys.executable, script, "--runs", "2"], env=environment, check=False)  # noqa: S603


def main() -> None:
    """Print the table, or measure once and print a line of JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", nargs="?", choices=["student", "teacher"], help="measure one network once")
    parser.add_argument("--before", type=Path, help="another checkout, for the table")
    parser.add_argument("--quick", action="store_true", help="a table of little data")
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--chunk-samples", type=int, default=ContinuousSettings().chunk_samples)
    parser.add_argument(
        "--one-rate", action="store_true", help="100 Hz and every channel, not the rule's rates"
    )
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--files", choices=["quakeflow", "prodml"], help="read from a file of this layout")
    parser.add_argument("--compress", action="store_true", help="compress that file with gzip")
    given = parser.parse_args()
    if given.kind:
        print(json.dumps(measure(given)))
    else:
        table(given.before, quick=given.quick)


if __name__ == "__main__":
    main()
