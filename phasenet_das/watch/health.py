"""The state of a watch: written by its loop, read by the status page, by monitoring and by the log."""

from __future__ import annotations

import logging
import math
import resource
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import pandas as pd

from phasenet_das.config import HealthSettings
from phasenet_das.tables import COVERAGE_COLUMNS, conform, empty_picks, read_coverage, read_picks
from phasenet_das.text import duration

if TYPE_CHECKING:
    from phasenet_das.watch.watcher import WatchStep

log = logging.getLogger(__name__)

_NEVER = math.nan
_FORGOTTEN_S = 86_400.0  # a cable without data for this long is no alarm
_RATE_S = 600.0
_FIRST, _LAST = 20, 5  # files whose medians tell a drift from one slow copy
_DEAD = ("one value only", "NaN or infinite")


@dataclass
class Health:
    """What a watch did last, and the tables that it writes.

    Attributes
    ----------
    output : pathlib.Path
        Folder of the watch.
    limits : HealthSettings
        What is an alarm.
    started_s, passed_s : float
        When the watch began, and when its last pass ended: s since 1970, NaN for never.
    waiting : int
        New files of the pass that is running.
    files, passes, errors : int
        Counts since the watch began.
    last_file : str
        The newest file, written at `arrived_s`.
    speed : float
        Seconds of data in a second of the last pass.
    """

    output: Path
    limits: HealthSettings = field(default_factory=HealthSettings)
    started_s: float = field(default_factory=time.time)
    passed_s: float = _NEVER
    waiting: int = 0
    files: int = 0
    passes: int = 0
    errors: int = 0
    last_error: str = ""
    last_file: str = ""
    arrived_s: float = _NEVER
    speed: float = _NEVER
    _told: tuple[str, ...] = ()
    _first_delays_s: list[float] = field(default_factory=list)
    _last_delays_s: deque[float] = field(default_factory=partial(deque, maxlen=_LAST))

    def began(self, num_files: int) -> None:
        """Note that a pass begins."""
        self.waiting = num_files
        if not self.passes:
            log.info("%d files. Files that were picked before are not picked again", num_files)
        elif num_files > 1:
            log.info("%d new files are picked in one pass, none is left out", num_files)

    def passed(self, step: WatchStep | None) -> None:
        """Note the end of a pass, or of a look that found nothing new."""
        now = time.time()
        if step is not None:
            self.waiting, self.last_error = 0, ""
            self.passes, self.files, self.passed_s = self.passes + 1, self.files + step.num_files, now
            self.speed = step.data_s / step.took_s if step.data_s > 0 else self.speed
            self._arrived(step)
            log.info("%s", step)
            if step.took_s > step.data_s > 0:
                log.warning(
                    "%.0f s of data took %.0f s: the watch falls behind. Use a GPU, fewer channels (data: "
                    "channel_range) or longer files. No file is left out.",
                    step.data_s,
                    step.took_s,
                )
        self._tell(now)

    def failed(self, error: Exception) -> None:
        """Note a pass that ended with an error; the next one picks the same files."""
        self.errors, self.last_error = self.errors + 1, str(error)
        log.warning("nothing picked in this pass: %s", error)

    def _arrived(self, step: WatchStep) -> None:
        self.last_file, self.arrived_s = step.last_file, step.arrived_s
        if step.arrived_s >= self.started_s:  # not one of a backlog, which may have been copied
            delay_s = step.arrived_s - step.picked_to.timestamp()
            self._last_delays_s.append(delay_s)
            if len(self._first_delays_s) < _FIRST:
                self._first_delays_s.append(delay_s)

    @property
    def delay_s(self) -> float:
        """Time from the last sample of a file to its writing, s: median of the last files, NaN without."""
        return median(self._last_delays_s) if self._last_delays_s else _NEVER

    def _tell(self, now: float) -> None:
        """Write alarms that begin or end into the log."""
        alarms = self.alarms(now)
        for kind, text in alarms.items():
            if kind not in self._told:
                log.warning("alarm: %s", text)
        for kind in self._told:
            if kind not in alarms:
                log.info("no alarm any more: %s", kind)
        self._told = tuple(alarms)

    def alarms(self, now: float) -> dict[str, str]:
        """Say what is wrong at a time, by kind: ``silence``, ``lag``, ``clock``, ``error``."""
        limits, out = self.limits, {}
        silent = now - max(self.started_s, self.arrived_s if math.isfinite(self.arrived_s) else 0.0)
        if silent > limits.max_silence_s:
            last = f"The last one is {self.last_file}." if self.last_file else "None has come yet."
            out["silence"] = (
                f"No new file for {duration(silent)} (limit {duration(limits.max_silence_s)}). {last} Check "
                "the interrogator and the copying of files."
            )
        late = {name: lag for name, lag in self.lags(now).items() if lag > limits.max_lag_s}
        if late:
            cables = ", ".join(f"{name} {duration(lag)}" for name, lag in late.items())
            out["lag"] = f"Behind the clock: {cables} (limit {duration(limits.max_lag_s)})."
        clock = self._clock_alarm(now)
        if clock:
            out["clock"] = clock
        if self.last_error:
            out["error"] = f"The last pass failed: {self.last_error}"
        return out

    def _clock_alarm(self, now: float) -> str:
        limit = self.limits.max_clock_s
        early = {name: -lag for name, lag in self.lags(now).items() if lag < -limit}
        if early:
            cables = ", ".join(f"{name} {duration(ahead)}" for name, ahead in early.items())
            return (
                f"The last sample lies in the future of this machine: {cables} (limit {limit:g} s). Check "
                "both clocks, and remove the files with wrong times."
            )
        if not self._last_delays_s:
            return ""
        change = self.delay_s - median(self._first_delays_s)
        if self.delay_s < -limit:
            return (
                f"The last sample lies {-self.delay_s:.1f} s in the future of this machine (limit {limit:g} "
                "s). Check both clocks."
            )
        if abs(change) > limit:
            return (
                f"Files come {abs(change):.1f} s {'later' if change > 0 else 'earlier'} than when the watch "
                f"began, counted from their last sample (limit {limit:g} s). The clock of the interrogator "
                "drifts, or the time to copy a file has changed."
            )
        return ""

    def ends(self) -> dict[str, float]:
        """Return to where each cable is picked, s since 1970."""
        table = self.coverage()
        examined = table[table["status"] == "examined"].groupby("station_id")["end"].max()
        return {str(name): end.timestamp() for name, end in examined.items()}

    def lags(self, now: float) -> dict[str, float]:
        """Return how far each cable is behind the clock, s; without those that ended long ago."""
        ends = self.ends()
        newest = min(max(ends.values(), default=0.0), now)  # one wrong clock makes no other cable old
        return {name: now - end for name, end in ends.items() if newest - end < _FORGOTTEN_S}

    def coverage(self) -> pd.DataFrame:
        """Return the coverage table of the watch; empty before the first pass."""
        return _coverage_of(*version_of(self.output / "coverage.csv"))

    def picks(self, start_s: float, end_s: float) -> pd.DataFrame:
        """Return the picks of a span of at most some days; those of the last minutes with their events."""
        start, end = (pd.Timestamp(moment, unit="s", tz="UTC") for moment in (start_s, end_s))
        days = pd.date_range(start.floor("D"), end, freq="D")
        paths = [self.output / "picks" / f"{day:%Y-%m-%d}.parquet" for day in days]
        tables = [_picks_of(*version_of(path)) for path in paths]
        recent = _picks_of(*version_of(self.output / "recent_picks.parquet"))
        begin = recent["phase_time"].min() if len(recent) else end
        picks = pd.concat([*(table[table["phase_time"] < begin] for table in tables), recent])
        return picks[(picks["phase_time"] >= start) & (picks["phase_time"] < end)]

    def picks_per_minute(self, now: float) -> float:
        """Return the rate of picks over the last ten minutes of data before a time."""
        end = min(max(self.ends().values(), default=0.0), now)
        return len(self.picks(end - _RATE_S, end)) * 60.0 / _RATE_S

    def dead_channels(self) -> dict[str, int]:
        """Count the channels of each cable that are dead or not finite in its last minute."""
        table, ends = self.coverage(), self.ends()
        dead = table[(table["status"] == "skipped") & table["reason"].str.startswith(_DEAD)]
        last = pd.to_datetime(dead["station_id"].map(ends).astype(float) - 60.0, unit="s", utc=True)
        found = dead[dead["end"] > last].groupby("station_id")["num_channels"].sum()
        return {name: int(found.get(name, 0)) for name in ends}

    def report(self, now: float) -> dict[str, Any]:
        """Return the state as JSON values; ``status`` is ``ok`` or ``alarm``."""
        alarms, lags = self.alarms(now), self.lags(now)
        return {
            "status": "alarm" if alarms else "ok",
            "alarms": alarms,
            "time": _iso(now),
            "started": _iso(self.started_s),
            "last_pass": _iso(self.passed_s),
            "picked_to": {name: _iso(end) for name, end in self.ends().items()},
            "lag_s": {name: round(lag, 1) for name, lag in lags.items()},
            "last_file": self.last_file,
            "last_file_time": _iso(self.arrived_s),
            "delay_s": _known(self.delay_s),
            "speed": _known(self.speed),
            "files": self.files,
            "waiting_files": self.waiting,
            "passes": self.passes,
            "errors": self.errors,
            "picks_per_minute": self.picks_per_minute(now),
            "dead_channels": self.dead_channels(),
            "memory_mb": round(memory_bytes() / 1e6),
        }


def memory_bytes() -> float:
    """Return the memory of this process: at present, or the highest where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * float(resource.getpagesize())
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def version_of(path: Path) -> tuple[Path, int]:
    """Return a path, and when its file was written; 0 where there is none."""
    return path, path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=1)
def _coverage_of(path: Path, mtime_ns: int) -> pd.DataFrame:
    if not mtime_ns:
        return conform(pd.DataFrame(columns=list(COVERAGE_COLUMNS)), COVERAGE_COLUMNS, "coverage")
    return read_coverage(path)


@lru_cache(maxsize=3)
def _picks_of(path: Path, mtime_ns: int) -> pd.DataFrame:
    return read_picks(path) if mtime_ns else empty_picks()


def _iso(moment_s: float) -> str | None:
    return (
        None if math.isnan(moment_s) else f"{pd.Timestamp(moment_s, unit='s').isoformat(timespec='seconds')}Z"
    )


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 2)
