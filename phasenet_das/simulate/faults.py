"""Faults of a recording: gaps, a wrong clock, a header that lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.seeds import generator


@dataclass(frozen=True)
class Faults:
    """The faults of one recording."""

    gaps: tuple[tuple[int, int], ...]  # Half-open spans of samples that were not recorded, in order
    jump_sample: int | None  # From this sample on the clock is wrong
    jump_s: float  # By how much, positive when its stamps are late
    wrong_file: int | None  # Number of the file whose header states twice the sampling rate
    sampling_rate_hz: float  # Sampling rate

    @classmethod
    def plan(cls, config: SimulationConfig, seed: int) -> Faults:
        """Draw the faults that the settings ask for."""
        rng = generator(seed, "faults")
        faults, total = config.faults, config.num_samples
        length = min(round(faults.gap_s * config.sampling_rate_hz), total // 4)
        share = total // max(1, faults.num_gaps)
        starts = [
            number * share + int(rng.integers(1, max(2, share - length))) for number in range(faults.num_gaps)
        ]
        files = -(-total // config.samples_per_file)
        jump = files // 2 * config.samples_per_file if faults.clock_jump_s else None
        wrong = int(rng.integers(files)) if faults.wrong_metadata else None
        gaps = tuple((start, min(start + length, total)) for start in starts)
        return cls(gaps, jump, faults.clock_jump_s, wrong, config.sampling_rate_hz)

    def recorded(self, start_sample: int, stop_sample: int) -> list[tuple[int, int]]:
        """Cut the gaps out of a span."""
        pieces, low = [], start_sample
        for begin, end in self.gaps:
            if begin < stop_sample and end > start_sample:
                pieces.append((low, max(low, begin)))
                low = min(end, stop_sample)
        pieces.append((low, stop_sample))
        return [(a, b) for a, b in pieces if b > a]

    def clock_error_s(self, sample: int) -> float:
        """Give the error of the clock at a sample."""
        return self.jump_s if self.jump_sample is not None and sample >= self.jump_sample else 0.0

    def has_wrong_metadata(self, file_number: int) -> bool:
        """Say whether a file's header is wrong."""
        return self.wrong_file == file_number

    def apply_to_picks(self, picks: pd.DataFrame, start: pd.Timestamp) -> pd.DataFrame:
        """Drop the picks that fall into gaps, and put the others on the recording's own clock."""
        sample = (picks["phase_time"] - start).dt.total_seconds().to_numpy() * self.sampling_rate_hz
        kept = np.ones(len(picks), bool)
        for begin, end in self.gaps:
            kept &= (sample < begin) | (sample >= end)
        late = np.zeros(len(picks))
        if self.jump_sample is not None:
            late[sample >= self.jump_sample] = self.jump_s
        shifted = picks["phase_time"] + pd.to_timedelta(np.rint(late * 1e9).astype(np.int64), unit="ns")
        return picks.assign(phase_time=shifted)[kept].reset_index(drop=True)

    def describe(self) -> dict[str, Any]:
        """Give the plan in words and numbers that fit into JSON."""
        rate = self.sampling_rate_hz
        jump = None
        if self.jump_sample is not None:
            jump = {"from_s": self.jump_sample / rate, "error_s": self.jump_s}
        return {
            "gaps_s": [[begin / rate, end / rate] for begin, end in self.gaps],
            "clock_jump": jump,
            "wrong_metadata_file": self.wrong_file,
        }
