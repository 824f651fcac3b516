"""What people see while continuous data is picked."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Self

import pandas as pd
from tqdm import tqdm

from phasenet_das.picking.parts import StoredPart
from phasenet_das.picking.shards import RecordPlan


class Progress:
    """A bar of data time, with the speed and the picks so far."""

    def __init__(self, plans: Collection[RecordPlan], *, shown: bool) -> None:
        seconds = sum(plan.grid.num_samples * plan.grid.dt_s * plan.share for plan in plans)
        form = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
        self._total_s = seconds
        scales = 1 + max((plan.scale for plan in plans), default=0)
        self._of_what = "picks" if scales == 1 else f"picks at up to {scales} rates"  # chosen from at the end
        self._bar = tqdm(desc="picking", total=seconds, disable=not shown, bar_format=form)
        self._begin, self._picks, self._data_s, self._fresh_s = time.monotonic(), 0, 0.0, 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advance(self, part: StoredPart, *, reused: bool) -> None:
        """Move on by a shard."""
        facts = part.facts
        share = facts.num_channels / max(1, facts.record_channels)
        seconds = (facts.end_ns - facts.start_ns) * 1e-9 * share * facts.share
        self._picks += part.num_picks
        self._data_s += seconds
        self._fresh_s += 0.0 if reused else seconds
        speed = self._fresh_s / max(1e-6, time.monotonic() - self._begin)
        data = pd.Timedelta(seconds=round(self._data_s))
        so_far = f"{self._picks} {self._of_what}"
        self._bar.set_postfix_str(f"{data}, {speed:.0f} x real time, {so_far}", refresh=False)
        self._bar.update(min(seconds, self._total_s - self._bar.n))
