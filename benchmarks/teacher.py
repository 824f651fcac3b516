"""Train the bundled PhaseNet for a fibre channel: from recordings to a model folder.

    python benchmarks/student_data.py truth && python benchmarks/bundled_data.py --recordings 0
    python benchmarks/teacher.py --shared ../shared --out results/teacher

First the traces, each kind in a file of its own that is not made again: seismometer records, channels of
fibre sections simulated of them (bundled_data.py) and of bench-v1's training recordings (student_data.py),
and real noise; with the probabilities that the original PhaseNet gives each. Then the training, which goes on
where it stopped. The validation records are in the sections too: their scores are for watching only.
What is held out for judging is listed in benchmarks/held_out.yaml.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from bundled_data import training_rows
from distillation import TraceSet, distill, load_traces, save_traces, teacher_scores
from scipy.signal import butter, sosfilt
from tqdm import tqdm

from phasenet_das.config import TrainSettings
from phasenet_das.models import load_weights
from phasenet_das.simulate import Record, load_records
from phasenet_das.simulate.noise import fill, load_noise
from phasenet_das.simulate.seeds import generator
from phasenet_das.training import Sample, find_windows
from phasenet_das.training.augment import crop, stretch_time
from phasenet_das.training.split import split_groups

RATE_HZ = 100.0
NUM_SAMPLES = 6000
MOST_EVENTS = 4
TRUTH_SHARE = 0.5
VALIDATION_SHARE = 0.1
# Traces of each kind, and how often they are drawn.
COUNTS = {"records": 9600, "quiet": 1600, "sections": 3200, "recordings": 800, "noise": 400}
SHARES = {"records": 0.42, "quiet": 0.13, "sections": 0.27, "recordings": 0.1, "noise": 0.08}
VALIDATION_COUNTS = {"records": 160}
DATA = (
    "Channels of fibre sections simulated of {count} NCEDC records (AI4EPS/PhaseNet, MIT), the records' own "
    "components, noise of four instruments (DASDAE/test_data, MIT) and training recordings of bench-v1; half "
    "of each target is what the original PhaseNet (Zhu & Beroza 2019, MIT) gives, half the true arrivals."
)


class Piece(NamedTuple):
    """Traces (trace, time) and their true arrivals (trace, event, 2)."""

    data: np.ndarray
    arrivals: np.ndarray


def main() -> None:
    """Make the traces, then train."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path("../shared"))
    parser.add_argument("--out", type=Path, default=Path("results/teacher"))
    parser.add_argument("--held-out", type=Path, default=Path(__file__).with_name("held_out.yaml"))
    parser.add_argument("--sections", type=Path, default=Path("results/bundled/sections"))
    parser.add_argument("--recordings", type=Path, default=Path("results/student/train"))
    parser.add_argument("--traces", type=Path, help="folder of the traces; OUT/traces by default")
    parser.add_argument("--weights", help="start from these instead of random ones")
    parser.add_argument("--steps", type=int, default=3600)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--teacher", default="seisbench:original", help="the network to learn from")
    parser.add_argument("--quick", action="store_true", help="try the script out: few traces, two steps")
    options = parser.parse_args()
    counts = dict.fromkeys(COUNTS, 16) if options.quick else COUNTS
    options.steps = 2 if options.quick else options.steps
    torch.set_num_threads(1)
    held_out = yaml.safe_load(options.held_out.read_text())
    records = options.shared / "data" / "waveforms3c" / "phasenet_ncedc_154.h5"
    rows = training_rows(pd.read_csv(records.with_suffix(".csv")), held_out)
    judged = split_groups([str(row) for row in rows], VALIDATION_SHARE, options.seed)
    folder = options.traces or options.out / "traces"
    with noise_folder(options.shared / "data" / "das_noise", held_out["noise"]) as noise:
        learned = load_records(records, [row for row, out in zip(rows, judged, strict=True) if not out])
        makers: dict[str, Callable[[], Iterable[Piece]]] = {
            "records": lambda: record_traces(learned, counts["records"], options.seed),
            "quiet": lambda: quiet_traces(learned, counts["quiet"], options.seed),
            "sections": lambda: window_traces(options.sections, counts["sections"], options.seed),
            "recordings": lambda: window_traces(options.recordings, counts["recordings"], options.seed),
            "noise": lambda: noise_traces(noise, counts["noise"], options.seed),
        }
        training = [
            load_traces(make(folder / f"{kind}.npz", counts[kind], maker, options.teacher), SHARES[kind])
            for kind, maker in makers.items()
        ]
        others = load_records(records, [row for row, out in zip(rows, judged, strict=True) if out])
        count = 16 if options.quick else VALIDATION_COUNTS["records"]
        path = make(
            folder / "validation.npz",
            count,
            lambda: record_traces(others, count, options.seed),
            options.teacher,
        )
    description = DATA.format(count=len(learned))
    result = distill(
        settings(options, description),
        training,
        [load_traces(path)],
        truth_share=TRUTH_SHARE,
        progress=True,
    )
    print(f"{result.step} steps -> {result.folder}: {result.metrics}")


def settings(options: argparse.Namespace, description: str) -> TrainSettings:
    """Give the settings of the training: 32 windows a step."""
    return TrainSettings(
        output=str(options.out),
        architecture="phasenet",
        model_args={"in_channels": 1, "filters": 8, "window_samples": 3000},
        data={
            "num_channels": 16,
            "num_samples": 3000,
            "sampling_rate_hz": RATE_HZ,
            "normalization": "std",
            "label_sigma_s": 0.1,
        },
        weights=options.weights,
        steps=options.steps,
        batch_size=2,
        learning_rate=options.learning_rate,
        final_learning_rate=3e-5,
        warmup_steps=min(100, options.steps),
        ema_decay=0.997,
        validate_every=800,
        validation_samples=12,
        save_every=200,
        num_workers=0,
        device="cpu",
        seed=options.seed,
        license="MIT",
        data_description=description,
    )


@contextmanager
def noise_folder(folder: Path, held_out: list[str]) -> Iterator[Path]:
    """Give a folder of the noise recordings that may be trained on."""
    with tempfile.TemporaryDirectory() as temporary:
        for path in folder.glob("*.h5"):
            if path.name not in held_out:
                shutil.copy(path, temporary)
        yield Path(temporary)


def make(path: Path, count: int, maker: Callable[[], Iterable[Piece]], teacher_name: str) -> Path:
    """Make a file of traces with the teacher's scores, unless it exists."""
    if path.exists():
        return path
    teacher = load_weights(teacher_name)
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with tqdm(total=count, desc=path.stem, unit="trace") as bar:
        for piece in maker():
            data = standardised(piece.data)
            parts.append((data, teacher_scores(teacher, data), piece.arrivals))
            bar.update(len(data))
    return save_traces(TraceSet(*(np.concatenate(part) for part in zip(*parts, strict=True))), path)


def standardised(data: np.ndarray) -> np.ndarray:
    """Bring traces to unit rms, which float16 holds."""
    centred = data - data.mean(axis=1, keepdims=True)
    scale = centred.std(axis=1, keepdims=True)
    return (centred / np.where(scale > 0, scale, 1)).astype(np.float16)


def some_events(arrivals: np.ndarray) -> np.ndarray:
    """Bring arrivals (trace, event, 2) to one number of events, those within the trace first."""
    out = np.full((len(arrivals), MOST_EVENTS, 2), np.inf)
    inside = ((arrivals >= 0) & (arrivals < NUM_SAMPLES)).any(axis=2)
    order = np.argsort(~inside, axis=1, kind="stable")[:, :MOST_EVENTS]
    kept = np.take_along_axis(arrivals, order[..., None], axis=1)
    out[:, : kept.shape[1]] = np.where(np.isnan(kept), np.inf, kept)
    return out


def record_traces(records: list[Record], count: int, seed: int) -> Iterable[Piece]:
    """Vary the records: time stretched, components mixed or one alone, filtered, noise of others added."""
    for number in range(count // 8):
        rng = generator(seed, "record traces", number)
        record = records[number % len(records)]
        whole = Sample.of(record.data, np.array([[[record.p_sample] * 3, [record.s_sample] * 3]]), 0.01)
        factor = float(np.exp(rng.uniform(-0.5, 0.5))) if rng.random() < 0.6 else 1.0
        whole = stretch_time(whole, factor)
        live = np.flatnonzero(whole.live)
        data, arrivals = np.empty((8, NUM_SAMPLES)), np.full((8, 1, 2), np.inf)
        for row in range(8):
            mix = rng.standard_normal(len(live)) if rng.random() < 0.4 else np.eye(len(live))[row % len(live)]
            start = int(rng.uniform(-0.05, 0.55) * NUM_SAMPLES * factor)
            piece = crop(whole, (0, start), (3, NUM_SAMPLES))
            scale = piece.data[live].std(axis=1, keepdims=True)
            trace = mix @ (piece.data[live] / np.where(scale > 0, scale, 1))
            data[row] = noisier(filtered(trace, rng), records, rng)
            arrivals[row, 0] = piece.arrivals[0, :, live[0]]
        yield Piece(data, some_events(arrivals))


def filtered(trace: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take half of the traces through a causal high-pass or low-pass filter, which leaves onsets in place."""
    if rng.random() < 0.5:
        return trace
    kind, low, high = [("highpass", 0.1, 4.0), ("lowpass", 6.0, 40.0)][int(rng.integers(2))]
    corner = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return sosfilt(butter(2, corner, kind, fs=RATE_HZ, output="sos"), trace)


def noisier(trace: np.ndarray, records: list[Record], rng: np.random.Generator) -> np.ndarray:
    """Add to half of the traces what another record holds before its P, up to the size of the trace."""
    if rng.random() < 0.5:
        return trace
    record = records[int(rng.integers(len(records)))]
    component = int(rng.choice(np.flatnonzero(record.data.any(axis=1))))
    quiet = record.data[component : component + 1, : int(record.p_sample) - 50]
    noise = fill(quiet - quiet.mean(), 1, len(trace), rng)[0]
    ratio = np.exp(rng.uniform(np.log(0.01), 0.0))
    return trace + ratio * noise * (trace.std() / max(float(noise.std()), 1e-12))


def quiet_traces(records: list[Record], count: int, seed: int) -> Iterable[Piece]:
    """Stretch what the records hold before their P over the length of a trace."""
    for number in range(count // 8):
        rng = generator(seed, "quiet traces", number)
        record = records[number % len(records)]
        quiet = record.data[record.data.any(axis=1), : int(record.p_sample) - 50]
        data = fill(quiet - quiet.mean(axis=1, keepdims=True), 8, NUM_SAMPLES, rng)
        yield Piece(np.stack([filtered(trace, rng) for trace in data]), np.full((8, MOST_EVENTS, 2), np.inf))


def window_traces(folder: Path, count: int, seed: int) -> Iterable[Piece]:
    """Cut traces of training windows around their arrivals, eight channels of a window at a time."""
    windows = find_windows([folder])
    for number in range(count // 8):
        rng = generator(seed, "window traces", number)
        window = windows[number * max(1, 8 * len(windows) // count) % len(windows)]
        labels = window.arrivals()
        channels = np.sort(rng.choice(window.num_channels, 8, replace=False))
        known = labels[0][:, :, channels[0]]
        known = known[np.isfinite(known)]
        start = rng.choice(known) - rng.integers(NUM_SAMPLES) if len(known) else 0
        first = int(np.clip(start, 0, max(window.num_samples - NUM_SAMPLES, 0)))
        span = slice(first, min(first + NUM_SAMPLES, window.num_samples))
        piece = window.load(slice(channels[0], channels[-1] + 1), span, labels)
        piece = crop(piece, (0, 0), (len(piece.data), NUM_SAMPLES))
        rows = channels - channels[0]
        yield Piece(piece.data[rows], some_events(piece.arrivals[:, :, rows].transpose(2, 0, 1)))


def noise_traces(folder: Path, count: int, seed: int) -> Iterable[Piece]:
    """Stretch real noise over the length of a trace, at the network's rate and on slower time axes."""
    recordings = [noise for hz in (100.0, 250.0, 500.0) for noise in load_noise(folder, hz)]
    for number in range(count // 8):
        rng = generator(seed, "noise traces", number)
        data = fill(recordings[number % len(recordings)], 8, NUM_SAMPLES, rng)
        yield Piece(data, np.full((8, MOST_EVENTS, 2), np.inf))


if __name__ == "__main__":
    main()
