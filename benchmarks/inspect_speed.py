"""How fast the pick inspector answers: `python benchmarks/inspect_speed.py`.

Makes a recording with one event, and picks that are late, named wrongly or missing on some channels. Times
each action of a person on all channels, and each picture of the page. `--out FOLDER` keeps the recording and
the picks. Open them with `phasenet-das inspect FOLDER/event.h5 FOLDER/picks.parquet`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.inspect import Area, Inspection, Moveout
from phasenet_das.inspect.pictures import section_png
from phasenet_das.inspect.server import state_of
from phasenet_das.tables import PICK_COLUMNS, conform, make_pick_ids, write_table

START = np.datetime64("2024-03-01T00:00:00", "ns")
DT_S, DX_M, CABLE = 0.01, 8.0, "BENCH"
_WAVELET_S = 0.08


def main() -> None:
    """Measure, and print a Markdown table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--channels", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=30_000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    patch, picks = make_event(options.channels, options.samples)
    if options.out is not None:
        options.out.mkdir(parents=True, exist_ok=True)
        io.write_quakeflow(patch, options.out / "event.h5")
        write_table(picks, options.out / "picks.parquet")
    print(f"| {options.channels} channels, {options.samples} samples | wall, s | CPU, s |\n|---|---|---|")
    whole = options.samples * DT_S
    one = timed("open a place", lambda: Inspection(patch, picks, around_s=whole))
    for name, action in actions(one, options.channels, whole):
        timed(name, action)


def actions(one: Inspection, channels: int, whole_s: float) -> list[tuple[str, Callable[[], Any]]]:
    """List what a person does, on all channels."""
    at = arrivals_s(np.array([0, channels // 3, 2 * channels // 3, channels - 1]), channels, whole_s)
    ends = np.array([0, channels // 3, 2 * channels // 3, channels - 1])
    line = Moveout(ends, one.screen.moments(at["S"]))
    box = Area.box((0, channels), tuple(one.screen.moments(np.array([0.0, whole_s]))))
    first, last = 0.2 * channels, 0.6 * channels
    one.phase, one.within_s = "S", 0.3

    def picture(low: float, high: float, early: float, late: float) -> bytes:
        view = one.screen.view((low, high), (early, late), 1400, 650)
        assert view is not None
        return section_png(view)

    named = ["to line", "add along line", "snap to onset", "snap to neighbours"]
    named += ["swap P and S", "reject", "keep"]
    return [
        ("picture of everything", lambda: picture(0, channels, 0, whole_s)),
        ("picture of a third of the time", lambda: picture(0, channels, whole_s / 3, whole_s * 2 / 3)),
        ("picture of a tenth", lambda: picture(first, last, 0.4 * whole_s, 0.5 * whole_s)),
        ("picks for the page", lambda: state_of(one)),
        ("choose with a box", lambda: one.choose(box)),
        ("choose with a line", lambda: one.choose(line, "S")),
        *((name, lambda name=name: one.act(name)) for name in named),
        ("delete", lambda: one.act("delete")),
        ("reject event", lambda: one.act("reject event")),
        ("undo", lambda: one.act("undo")),
        ("redo", lambda: one.act("redo")),
    ]  # fmt: skip


def timed(name: str, work: Callable[[], Any]) -> Any:  # noqa: ANN401
    """Print how long it took, and give its result."""
    begun, cpu = time.perf_counter(), time.process_time()
    found = work()
    print(f"| {name} | {time.perf_counter() - begun:.2f} | {time.process_time() - cpu:.2f} |", flush=True)
    return found


def arrivals_s(channel: np.ndarray, channels: int, whole_s: float) -> dict[str, np.ndarray]:
    """Compute when P and S of a source beside the cable arrive on channels (channel,), s."""
    along_km = (channel - 0.4 * channels) * DX_M / 1000
    distance_km = np.hypot(along_km, 6.0)
    bumps = 0.15 * np.sin(channel / channels * 25)
    return {"P": 0.4 * whole_s + distance_km / 5.5 + bumps, "S": 0.4 * whole_s + distance_km / 3.1 + bumps}


def make_event(channels: int, samples: int) -> tuple[Any, pd.DataFrame]:
    """Make a recording with one event, and picks as a network makes them, with its errors."""
    rng, number = np.random.default_rng(0), np.arange(channels)
    data = np.empty((channels, samples), np.float32)
    at = arrivals_s(number, channels, samples * DT_S)
    for first in range(0, channels, 250):
        rows = slice(first, first + 250)
        data[rows] = rng.standard_normal(data[rows].shape, dtype=np.float32)
    tail = np.arange(round(4.0 / DT_S))
    for phase, strength in (("P", 6.0), ("S", 14.0)):
        for channel, onset in enumerate(np.rint(at[phase] / DT_S).astype(int)):
            length = min(len(tail), samples - onset)
            wave = np.sin(2 * np.pi * tail[:length] * DT_S / _WAVELET_S) * np.exp(-tail[:length] * DT_S / 1.2)
            data[channel, onset : onset + length] += strength * wave.astype(np.float32)
    patch = io.make_patch(
        data, start_time=START, dt_s=DT_S, distance_m=number * DX_M, station_id=CABLE, unit="1/s"
    )
    return patch, _with_errors(number, at, rng)


def _with_errors(number: np.ndarray, at: dict[str, np.ndarray], rng: np.random.Generator) -> pd.DataFrame:
    """Make picks with a late stretch of S, a stretch of S called P, missing channels, and false picks."""
    count = len(number)
    share = number / count
    seconds = {phase: values + rng.normal(0, 0.015, count) for phase, values in at.items()}
    seconds["S"] += np.where((share > 0.55) & (share < 0.7), 0.18, 0.0)
    names = np.where((share > 0.15) & (share < 0.25), "P", "S")
    there = rng.random(count) > np.where((share > 0.8) & (share < 0.9), 0.8, 0.05)
    false = rng.choice(count, count // 8)
    false_s = rng.uniform(0.1, 0.9, len(false)) * 2.5 * at["P"].min()
    channel = np.concatenate([number, number[there], false])
    phase = np.concatenate([np.full(count, "P"), names[there], rng.choice(["P", "S"], len(false))])
    late = np.concatenate([seconds["P"], seconds["S"][there], false_s])
    event = np.concatenate([np.zeros(count + there.sum(), int), np.full(len(false), -1)])
    sample = np.rint(late / DT_S).astype(np.int64)
    values: dict[str, Any] = dict.fromkeys(PICK_COLUMNS, np.nan) | {
        "pick_id": make_pick_ids(CABLE, channel, phase, sample),
        "station_id": CABLE,
        "channel_index": channel,
        "distance_m": channel * DX_M,
        "phase_time": pd.to_datetime(START + np.rint(late * 1e9).astype("timedelta64[ns]"), utc=True),
        "phase_type": phase,
        "phase_score": rng.uniform(0.4, 1.0, len(channel)),
        "event_index": event,
    }
    return conform(pd.DataFrame(values).drop_duplicates("pick_id"), PICK_COLUMNS, "picks")


if __name__ == "__main__":
    main()
