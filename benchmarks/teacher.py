"""Train the bundled PhaseNet for a fibre channel: from recordings to a model folder.

    python benchmarks/training_store.py --folder results/training_store --end 720
    python benchmarks/teacher.py --shared ../shared --out results/teacher

First the traces, each kind in a file of its own that is not made again: seismometer records, channels of the
windows that PhaseNet-DAS learns from (training_store.py), and real noise. Then the training, which goes on
where it stopped. It learns the output of the original PhaseNet, and a share of the truth. The validation
records are in the sections too: their scores are for watching only. What is held out for judging is listed in
benchmarks/held_out.yaml.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import yaml
from distillation import TraceSet, distill, load_traces, save_traces
from scipy.signal import butter, sosfilt
from tqdm import tqdm
from training_store import RATE_HZ, StoredWindow, kind_of, load_windows, read_noise, training_rows

from phasenet_das.config import AugmentSettings, TrainSettings
from phasenet_das.models import load_weights
from phasenet_das.simulate import Record, load_records
from phasenet_das.simulate.noise import fill
from phasenet_das.simulate.seeds import generator
from phasenet_das.training import Sample
from phasenet_das.training.augment import anchored_start, average_channels, crop, stretch_time, vary
from phasenet_das.training.split import split_groups

NOISE_RATES_HZ = (100.0, 250.0, 500.0)  # those at which a network of 100 Hz sees faster recordings too
NUM_SAMPLES = 6000
MOST_EVENTS = 12
VALIDATION_SHARE = 0.1
# Traces of each kind, how often they are drawn, and the share of truth in their targets. The rest is the
# output of the original PhaseNet, which learned from many more stations than these.
COUNTS = {"records": 24000, "quiet": 4000, "sections": 20000, "recordings": 20000, "noise": 3200}
SHARES = {"records": 0.35, "quiet": 0.1, "sections": 0.25, "recordings": 0.22, "noise": 0.08}
TRUTH_SHARES = {"records": 0.2, "quiet": 0.2, "sections": 0.3, "recordings": 0.3, "noise": 0.3}
VALIDATION_TRACES = 160
# Channels of fibre vary as those of PhaseNet-DAS do (bundled_training.py), but for what needs neighbours.
AUGMENT = AugmentSettings(
    stretch_time=2.0, average_channels=8, add_event=0.25, added_events=2, add_event_ratio_db=15.0, noise=0.5,
    snr_min_db=-6.0, snr_max_db=30.0, lower_rate=0.1, missing_ends=0.2, phase_ratio=0.0, hidden=0.0, dead=0.0,
)  # fmt: skip
DATA = (
    "Channels of fibre sections simulated of {count} NCEDC records (AI4EPS/PhaseNet, MIT), the records' own "
    "components, noise of four instruments (DASDAE/test_data, MIT), simulated recordings of scenarios, and "
    "the training recordings of bench-v2. Seven to eight tenths of each target are the output of the "
    "original PhaseNet (Zhu & Beroza 2019, MIT), the rest the true arrivals."
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
    parser.add_argument("--store", type=Path, default=Path("results/training_store"), help="windows of fibre")
    parser.add_argument("--traces", type=Path, help="folder of the traces; OUT/traces by default")
    parser.add_argument("--weights", help="start from these instead of random ones")
    parser.add_argument("--steps", type=int, default=12000)
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--workers", type=int, default=1, help="processes that draw windows")
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
    fibres = options.shared / "data" / "das_noise"
    noise = [read_noise(fibres, held_out["noise"], rate_hz) for rate_hz in NOISE_RATES_HZ]
    learned = load_records(records, [row for row, out in zip(rows, judged, strict=True) if not out])

    def fibre(kind: str) -> Iterable[Piece]:
        return fibre_traces(options.store, noise[0], counts[kind], options.seed, kind)

    makers: dict[str, Callable[[], Iterable[Piece]]] = {
        "records": lambda: record_traces(learned, counts["records"], options.seed),
        "quiet": lambda: quiet_traces(learned, counts["quiet"], options.seed),
        "sections": lambda: fibre("sections"),
        "recordings": lambda: fibre("recordings"),
        "noise": lambda: noise_traces(list(chain(*noise)), counts["noise"], options.seed),
    }
    training = []
    for kind, maker in makers.items():
        path = make(folder / f"{kind}.npz", counts[kind], maker)
        training.append(load_traces(path, SHARES[kind], TRUTH_SHARES[kind]))
    others = load_records(records, [row for row, out in zip(rows, judged, strict=True) if out])
    count = 16 if options.quick else VALIDATION_TRACES
    path = make(folder / "validation.npz", count, lambda: record_traces(others, count, options.seed))
    description = DATA.format(count=len(learned))
    result = distill(
        settings(options, description),
        training,
        [load_traces(path)],
        teacher=load_weights(options.teacher),
        progress=True,
    )
    print(f"{result.step} steps -> {result.folder}: {result.metrics}")


def settings(options: argparse.Namespace, description: str) -> TrainSettings:
    """Give the settings of the training: 64 windows a step."""
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
        batch_size=4,
        learning_rate=options.learning_rate,
        final_learning_rate=3e-5,
        warmup_steps=min(100, options.steps),
        ema_decay=0.999,
        validate_every=2000,
        validation_samples=12,
        save_every=200,
        num_workers=options.workers,
        device="cpu",
        seed=options.seed,
        license="MIT",
        data_description=description,
    )


def make(path: Path, count: int, maker: Callable[[], Iterable[Piece]]) -> Path:
    """Make a file of traces, unless it exists."""
    if path.exists():
        return path
    parts: list[Piece] = []
    with tqdm(total=count, desc=path.stem, unit="trace") as bar:
        for piece in maker():
            parts.append(Piece(standardised(piece.data), piece.arrivals))
            bar.update(len(piece.data))
    data, arrivals = (np.concatenate(part) for part in zip(*parts, strict=True))
    return save_traces(TraceSet(data, arrivals), path)


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


def fibre_traces(
    store: Path, instruments: list[np.ndarray], count: int, seed: int, kind: str
) -> Iterable[Piece]:
    """Vary channels of fibre: averaged, stretched in time, with other events and noise of real fibres added.

    Four neighbouring traces come of one place of a window. `kind` is sections or recordings.
    """
    paths = stored_files(store, kind)
    groups = np.diff(np.linspace(0, count // 4, len(paths) + 1).round().astype(int))
    for number, (path, wanted) in enumerate(zip(paths, groups, strict=True)):
        windows = load_windows(path) if wanted else []
        for group in range(wanted):
            rng = generator(seed, f"fibre {kind}", number, group)
            sample = varied_piece(windows, instruments, rng)
            live = sample.live & (np.ptp(sample.data, axis=1) > 0)
            if live.any():
                yield Piece(sample.data[live], some_events(sample.arrivals[:, :, live].transpose(2, 0, 1)))


def stored_files(store: Path, kind: str) -> list[Path]:
    """List the files of a training store that hold sections, or recordings."""
    chosen = [path for path in sorted(store.glob("*.pkl")) if kind_of(int(path.stem)) == kind]
    if not chosen:
        raise SystemExit(f"error: {store} holds no {kind}. Make some with benchmarks/training_store.py.")
    return chosen


def varied_piece(
    windows: list[StoredWindow], instruments: list[np.ndarray], rng: np.random.Generator
) -> Sample:
    """Cut traces of a window, and add other events and noise to them."""
    rows = min(4, *(len(window.data) for window in windows))

    def other() -> Sample:
        return fibre_piece(windows, rng, rows)

    def noise() -> np.ndarray:
        return fill(instruments[int(rng.integers(len(instruments)))], rows, NUM_SAMPLES, rng)

    return vary(other(), AUGMENT, rng, other=other, noise=noise)


def fibre_piece(windows: list[StoredWindow], rng: np.random.Generator, rows: int) -> Sample:
    """Cut traces of 60 s of a window around an arrival."""
    window = windows[rng.integers(len(windows))]
    average = min(int((AUGMENT.average_channels + 1) ** rng.random()), len(window.data) // rows)
    first = int(rng.integers(len(window.data) - rows * average + 1))
    taken = slice(first, first + rows * average)
    times = np.where(window.live[taken], window.arrivals[:, :, taken], np.inf)
    sample = average_channels(Sample.of(window.data[taken], times, 1.0 / RATE_HZ), average)
    factor = float(AUGMENT.stretch_time ** rng.uniform(-1, 1))
    size = (rows, int(np.ceil(NUM_SAMPLES / factor)) + 1)
    _, start = anchored_start(sample.arrivals, sample.data.shape, size, rng)
    sample = stretch_time(crop(sample, (0, start), size), factor)
    return crop(sample, (0, 0), (rows, NUM_SAMPLES))


def noise_traces(recordings: list[np.ndarray], count: int, seed: int) -> Iterable[Piece]:
    """Stretch real noise over the length of a trace."""
    for number in range(count // 8):
        rng = generator(seed, "noise traces", number)
        data = fill(recordings[number % len(recordings)], 8, NUM_SAMPLES, rng)
        yield Piece(data, np.full((8, MOST_EVENTS, 2), np.inf))


if __name__ == "__main__":
    main()
