"""The progress bar of a picking run, and the time that each step takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Self, TypeVar

import pandas as pd
from tqdm import tqdm

from phasenet_das.picking.plan import ChunkPlan
from phasenet_das.picking.store import StoredChunk

STAGES = ("read", "prepare", "network", "picks")

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class StageTimes:
    """Time spent in each step; as steps overlap, the sum may exceed the time that has passed."""

    # by step: read, prepare (screen, condition, resample, measure amplitudes), network (normalise, score,
    # find peaks), picks (amplitudes, tables, writing), s
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(STAGES, 0.0))
    samples: int = 0  # samples of the cores at the network's rate

    def timed(self, stage: str, work: Callable[[T], R]) -> Callable[[T], R]:
        """Measure a step."""

        def measured(item: T) -> R:
            begin = time.perf_counter()
            try:
                return work(item)
            finally:
                self.seconds[stage] += time.perf_counter() - begin

        return measured

    def add(self, other: StageTimes) -> None:
        """Add the times of another process."""
        self.samples += other.samples
        for stage, seconds in other.seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds

    def __str__(self) -> str:
        total = sum(self.seconds.values()) or 1.0
        return ", ".join(f"{name} {value / total:.0%}" for name, value in self.seconds.items())


class Progress:
    """A bar of data time, with the speed and the number of picks."""

    def __init__(self, plans: Collection[ChunkPlan], *, shown: bool) -> None:
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._total_s = sum(plan.seconds * plan.rate_pass.work_fraction for plan in plans)
        passes = 1 + max((plan.rate_pass.number for plan in plans), default=0)
        self._of_what = "picks" if passes == 1 else f"picks at up to {passes} rates"  # joined at the end
        hidden = None if shown else True  # None: where nobody looks on
        self._bar = tqdm(desc="picking", total=self._total_s, disable=hidden, bar_format=form)
        self._begin, self._picks, self._data_s, self._fresh_s = time.monotonic(), 0, 0.0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, chunk: StoredChunk, *, reused: bool) -> None:
        """Move on by a chunk."""
        info = chunk.info
        share = info.num_channels / max(1, info.recording_channels)
        seconds = (info.end_ns - info.start_ns) * 1e-9 * share * info.work_fraction
        self._picks += chunk.num_picks
        self._data_s += seconds
        self._fresh_s += 0.0 if reused else seconds
        speed = self._fresh_s / max(1e-6, time.monotonic() - self._begin)
        data = pd.Timedelta(seconds=round(self._data_s))
        so_far = f"{self._picks} {self._of_what}"
        self._bar.set_postfix_str(f"{data}, {speed:.0f} x real time, {so_far}", refresh=False)
        self._bar.update(min(seconds, self._total_s - self._bar.n))
