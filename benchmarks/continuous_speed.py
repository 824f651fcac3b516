"""Speed and memory of picking continuous data: samples made on the fly, networks of random weights.

python benchmarks/continuous_speed.py student --channels 10000 --minutes 10
python benchmarks/continuous_speed.py teacher --channels 1000 --minutes 5
python benchmarks/continuous_speed.py student --channels 1000 --minutes 5 --workers 2
python benchmarks/continuous_speed.py student --channels 10000 --minutes 10 --precision bfloat16
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from phasenet_das.config import ContinuousSettings, PickSettings
from phasenet_das.io.recording import recording_of_function
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


def measure(
    kind: str,
    channels: int,
    minutes: float,
    workers: int,
    chunk_samples: int,
    *,
    one_rate: bool,
    precision: str,
) -> dict[str, object]:
    """Pick generated data, and say how fast and in how much memory."""
    record = recording_of_function(
        station_id="BENCH",
        start_time=np.datetime64(_START_NS, "ns"),
        dt_s=1 / _RATE_HZ,
        num_samples=round(minutes * 60 * _RATE_HZ),
        channel_index=np.arange(channels),
        distance_m=np.arange(channels) * _DX_M,
        generate=noise,
    )
    picker = random_picker(kind)
    # Random weights pick either everywhere or nowhere: a threshold with about one pick a channel and minute.
    seen = {"rate": "model", "average_channels": 1} if one_rate else {}
    run = PickRun.of(
        picker.chunk_picker(PickSettings(min_score=0.9, precision=precision, **seen)),
        ContinuousSettings(chunk_samples=chunk_samples),
    )
    with tempfile.TemporaryDirectory() as folder:
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
        "minutes": minutes,
        "rates": "one" if one_rate else "by the rule",
        "precision": precision,
        "workers": workers,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
        "cpu_s": round(busy, 1),
        "x_real_time": round(minutes * 60 / seconds, 2),
        "million_samples_per_s": round(record.num_samples * channels / seconds / 1e6, 2),
        "peak_gb": round(peak, 2),
        "parts": len(found.chunks),
        "picks": summary.num_picks,
        "stage_s": {name: round(value, 1) for name, value in found.times.seconds.items()},
    }


def main() -> None:
    """Measure, and print one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["student", "teacher"])
    parser.add_argument("--channels", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--chunk-samples", type=int, default=ContinuousSettings().chunk_samples)
    parser.add_argument(
        "--one-rate", action="store_true", help="100 Hz and every channel, not the rule's rates"
    )
    parser.add_argument("--precision", choices=["float32", "bfloat16"], default="float32")
    given = parser.parse_args()
    size = (given.channels, given.minutes, given.workers, given.chunk_samples)
    print(json.dumps(measure(given.kind, *size, one_rate=given.one_rate, precision=given.precision)))


if __name__ == "__main__":
    main()
