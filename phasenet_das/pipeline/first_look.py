"""A first look at a cable: its files, its channel table, and the picks of one minute."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.files import find_recordings
from phasenet_das.io.recording import Recording

F64 = npt.NDArray[np.float64]

_TABLES = ("channels*.csv", "*das_info*.csv", "*geometry*.csv", "*coords*.csv")
_LENGTH_S = 60.0
_MAX_CHANNELS = 500
_MAX_SAMPLES = 12_000_000  # of float32: a second or two of picking
_KM_PER_DEGREE = 111.19
_FEWEST = 5
UNKNOWN_GROUND = ((3.0, 1.73), (6.5, 3.75))
"""vp and vs (km/s) of sedimentary and of crystalline ground, when nothing is stated."""


@dataclass(frozen=True)
class FirstPicks:
    """Picks of the first minute of a recording, counted over neighbouring channels."""

    start_time: np.datetime64
    length_s: float
    channel_range: tuple[int, int]  # half open
    num_channels: int
    num_dead: int
    num_p: int
    num_s: int
    num_both: int  # channels with P and S
    s_minus_p_s: F64  # S-P times that many channels share

    @property
    def s_minus_p_range_s(self) -> tuple[float, float] | None:
        """5th and 95th percentile of the S-P times (s)."""
        if not len(self.s_minus_p_s):
            return None
        low, high = np.percentile(self.s_minus_p_s, [5, 95])
        return float(low), float(high)

    def distance_range_km(self, ground: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
        """Distances that the S-P times mean in ground of any of these vp and vs (km/s)."""
        if self.s_minus_p_range_s is None:
            return None
        km_per_s = [vp * vs / (vp - vs) for vp, vs in ground]
        low, high = self.s_minus_p_range_s
        return low * min(km_per_s), high * max(km_per_s)

    def summary(self) -> str:
        """Count the picks in a sentence or two."""
        first, end = self.channel_range
        dead = f", {self.num_dead} of them dead" if self.num_dead else ""
        where = (
            f"in the first {self.length_s:.3g} s on channels {first} to {end - 1} ({self.num_channels} "
            f"channels{dead})"
        )
        if not self.num_p + self.num_s:
            return f"No pick {where}."
        share = 100 * self.num_both / self.num_channels
        text = f"{self.num_p} P and {self.num_s} S picks {where}. "
        text += f"{share:.0f} % of the channels have both phases."
        if self.s_minus_p_range_s is not None:
            text += f" S-P times: {span(*self.s_minus_p_range_s)} s."
        return text


def span(low: float, high: float) -> str:
    """Write a range with two digits, as one number where both are the same."""
    first, last = (f"{float(f'{value:.2g}'):g}" for value in (low, high))
    return first if first == last else f"{first} to {last}"


@dataclass(frozen=True)
class FirstLook:
    """A cable as its files show it; a problem is a message, empty where there is none."""

    archive: Archive | None
    problem: str
    table_path: Path | None
    table: pd.DataFrame | None  # rows of the recorded channels
    table_problem: str
    picks: FirstPicks | None = None
    picks_problem: str = ""

    @property
    def first(self) -> Recording | None:
        """The first recording; None where the files cannot be used."""
        return self.archive.recordings[0] if self.archive and self.archive.recordings else None

    @property
    def station_id(self) -> str | None:
        """Name of the cable: that of a table of one cable, else that of the files."""
        named = [] if self.table is None else self.table["station_id"].unique().tolist()
        own = None if self.first is None else self.first.station_id
        return str(named[0]) if len(named) == 1 else own or None


def look_at(inputs: Sequence[str], channels: Path | None = None) -> FirstLook:
    """Look at the recordings and at the channel table, which is sought beside them when it is not named."""
    find_recordings(inputs)
    archive, problem = None, ""
    try:
        archive = open_archive(inputs, DataSettings())
    except PhaseNetDASError as error:
        problem = " ".join(str(error).split())
    path = channels or _find_table(inputs)
    look = FirstLook(archive, problem, path, None, "")
    if path is None:
        return look
    try:
        table = _read_table(path, look.first)
    except PhaseNetDASError as error:
        if channels is not None:
            raise
        return FirstLook(archive, problem, path, None, " ".join(str(error).split()))
    return FirstLook(archive, problem, path, table, "")


def pick_first_minute(recording: Recording, settings: PickSettings) -> FirstPicks:
    """Pick the first minute of at most 500 channels in the middle of the cable."""
    from phasenet_das.picking import load_picker

    length_s = min(_LENGTH_S, recording.num_samples * recording.dt_s)
    most = int(np.clip(_MAX_SAMPLES * recording.dt_s / length_s, 1, _MAX_CHANNELS))
    numbers = np.sort(recording.channel_index)
    first = max(0, (len(numbers) - most) // 2)
    numbers = numbers[first : first + most]
    channel_range = int(numbers[0]), int(numbers[-1]) + 1
    picks = load_picker(settings.weights, device=settings.device).pick(
        [recording],
        settings,
        start=recording.start_time,
        end=recording.start_time + np.timedelta64(round(1e9 * length_s), "ns"),
        channel_range=channel_range,
    )
    is_p = (picks["phase_type"] == "P").to_numpy()
    channel = picks["channel_index"].to_numpy()
    return FirstPicks(
        start_time=recording.start_time,
        length_s=length_s,
        channel_range=channel_range,
        num_channels=len(numbers),
        num_dead=len(np.intersect1d(picks.attrs["dead_channels"], numbers)),
        num_p=int(is_p.sum()),
        num_s=int((~is_p).sum()),
        num_both=len(np.intersect1d(channel[is_p], channel[~is_p])),
        s_minus_p_s=shared_s_minus_p(picks, len(numbers)),
    )


def shared_s_minus_p(picks: pd.DataFrame, num_channels: int) -> F64:
    """S-P times (s) of picks, without those that fewer than a tenth of the channels (or five) share.

    Each P goes with the first S behind it on its channel. Times are shared when P comes within about two
    seconds and S-P differs by about a fifth.
    """
    table = picks.sort_values(["channel_index", "phase_time"], kind="stable")
    is_p = table["phase_type"] == "P"
    time_s = (table["phase_time"] - table["phase_time"].min()).dt.total_seconds()
    p_s = time_s.where(is_p).groupby(table["channel_index"]).ffill()
    pairs = pd.DataFrame({"channel": table["channel_index"], "p_s": p_s, "delay_s": time_s - p_s})
    pairs = pairs[~is_p & p_s.notna() & (pairs["delay_s"] > 0)].drop_duplicates(["channel", "p_s"])
    alike = [pairs["p_s"] // 2, np.round(5 * np.log(pairs["delay_s"]))]
    sharing = pairs.groupby(alike)["channel"].transform("nunique")
    return pairs.loc[sharing >= max(_FEWEST, 0.1 * num_channels), "delay_s"].to_numpy(np.float64)


def extent_km(table: pd.DataFrame) -> tuple[float, float]:
    """Length and width (km) of the cable's map, along its principal axes."""
    latitude = table["latitude"].to_numpy()
    north = _KM_PER_DEGREE * latitude
    east = _KM_PER_DEGREE * np.cos(np.deg2rad(latitude.mean())) * table["longitude"].to_numpy()
    places = np.column_stack([east - east.mean(), north - north.mean()])
    _, _, axes = np.linalg.svd(places, full_matrices=False)
    length, width = np.ptp(places @ axes.T, axis=0)
    return float(length), float(width)


def _find_table(inputs: Sequence[str]) -> Path | None:
    for item in inputs:
        folder = Path(item) if Path(item).is_dir() else Path(item).parent
        for place in (folder, folder.parent):
            for pattern in _TABLES:
                if tables := sorted(place.glob(pattern)):
                    return tables[0]
    return None


def _read_table(path: Path, first: Recording | None) -> pd.DataFrame | None:
    """Read the rows of the recorded channels."""
    from phasenet_das.tables.channels import load_channels

    table = load_channels(path, (first and first.station_id) or "CABLE")
    if table is None or first is None:
        return table
    return table[table["channel_index"].isin(first.channel_index)]
