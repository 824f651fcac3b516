"""Training windows: quakeflow_das event files with a pick table beside each."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError, DataFormatError, MissingMetadataError, TableError
from phasenet_das.io.files import find_recordings
from phasenet_das.io.formats.quakeflow import is_quakeflow, open_quakeflow, write_quakeflow
from phasenet_das.io.patch import get_channel_index, get_station_id, get_times
from phasenet_das.io.recording import Recording
from phasenet_das.tables import PICK_COLUMNS, conform, read_picks, write_table
from phasenet_das.tables.files import read_csv
from phasenet_das.tables.provenance import file_hash, file_sha256
from phasenet_das.training.labels import arrivals_of_picks
from phasenet_das.training.sample import Sample

if TYPE_CHECKING:
    from dascore import Patch

QUIET = "_quiet_"
"""In the names of windows of noise, between cable and time."""

_HEADERS_KEPT = 8192
_TABLE_ENDINGS = (".picks.parquet", ".parquet", ".picks.csv", ".csv")
_HDF5 = (".h5", ".hdf5")
_NEEDED = ("channel_index", "phase_time", "phase_type")


@dataclass(frozen=True)
class TrainingWindow:
    """A window that is not loaded: what its file says, and where its labels are.

    Attributes
    ----------
    path, labels : pathlib.Path
        Data and pick table.
    num_channels, num_samples : int
        Shape of the data.
    begin_time : numpy.datetime64
        Time of the first sample.
    dt_s, dx_m : float
        Sampling interval; channel spacing, NaN when unknown.
    station_id, event_id : str
        Cable and event; may be empty.
    quiet : bool
        Whether it is a window of noise.
    """

    path: Path
    labels: Path
    num_channels: int
    num_samples: int
    begin_time: np.datetime64
    dt_s: float
    dx_m: float
    station_id: str
    event_id: str
    quiet: bool = False

    @property
    def end_time(self) -> np.datetime64:
        """Time behind the last sample."""
        length = np.timedelta64(round(self.num_samples * self.dt_s * 1e9), "ns")
        end: np.datetime64 = self.begin_time + length
        return end

    def arrivals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Read the labels.

        Returns
        -------
        arrivals, confidence, rejected : numpy.ndarray
            See :func:`phasenet_das.training.labels.arrivals_of_picks`.
        """
        numbers = _recording(self.path).channel_index
        picks = _of_cable(read_labels(self.labels, self.station_id), self.station_id)
        return arrivals_of_picks(picks, numbers, self.begin_time, self.dt_s)

    def load(
        self, channels: slice, samples: slice, labels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    ) -> Sample:
        """Load a sample: only its channels and times are read from disk.

        Parameters
        ----------
        channels, samples : slice
            Positions within the window.
        labels : tuple of numpy.ndarray, optional
            Arrivals, confidence and rejected picks of the whole window, where they have been read already.

        Returns
        -------
        Sample
            With the arrivals of these channels, also those outside the span. Channels that are constant or
            not finite are dead, their data zero.
        """
        data = _recording(self.path).load(channels, samples)
        arrivals, confidence, rejected = self.arrivals() if labels is None else labels
        finite = np.isfinite(data).all(axis=1)
        data[~finite] = 0
        return Sample(
            data=data,
            arrivals=arrivals[:, :, channels] - samples.start,
            confidence=confidence[:, :, channels],
            rejected=rejected[:, channels] - samples.start,
            live=finite & (np.ptp(data, axis=1) > 0),
            dt_s=self.dt_s,
            dx_m=self.dx_m,
        )


def open_window(path: str | Path, labels: str | Path | None = None) -> TrainingWindow:
    """Read what a training window says about itself, not its data.

    Parameters
    ----------
    path : str or pathlib.Path
        HDF5 of the quakeflow_das layout: ``data`` (channel, time), ``begin_time``, ``dt_s``, ``dx_m``,
        ``unit`` and fields of the event.
    labels : str or pathlib.Path, optional
        The pick table, or a folder with one named as the window; beside the window without it.

    Raises
    ------
    MissingMetadataError
        No ``begin_time`` or no ``dt_s``.
    DataFormatError
        The file is not of this layout.
    TableError
        There is no pick table.
    """
    path = Path(path)
    record = _recording(path)
    if np.isnat(record.start_time):
        raise MissingMetadataError(
            f"{path}: begin_time is {record.start_found or 'missing'}, expected the time of the first "
            "sample, such as 2019-07-06T03:19:53.040+00:00. Write it into the attributes of 'data'."
        )
    if np.isnan(record.dt_s):
        raise MissingMetadataError(f"{path}: no attribute dt_s. Write the sampling interval in seconds.")
    return TrainingWindow(
        path=path,
        labels=_find_labels(path, None if labels is None else Path(labels)),
        num_channels=record.num_channels,
        num_samples=record.num_samples,
        begin_time=record.start_time,
        dt_s=record.dt_s,
        dx_m=record.dx_m,
        station_id=record.station_id,
        event_id=str(record.attrs.get("event_id", "")),
        quiet=bool(record.attrs.get("quiet", False)),
    )


def find_windows(inputs: Iterable[str | Path], labels: str | Path | None = None) -> list[TrainingWindow]:
    """Open all training windows of files, folders and patterns.

    Parameters
    ----------
    inputs : iterable of str or pathlib.Path
        Where to look.
    labels : str or pathlib.Path, optional
        Folder of the pick tables.

    Returns
    -------
    list of TrainingWindow
        In the order of their begin, then of their path.

    Raises
    ------
    ConfigError
        There is no HDF5 file.
    MissingMetadataError, DataFormatError, TableError
        See :func:`open_window`.
    """
    paths = [Path(path) for path in find_recordings([str(item) for item in inputs])]
    paths = [path for path in paths if path.suffix in _HDF5]
    if not paths:
        raise ConfigError(f"{', '.join(map(str, inputs))}: no HDF5 file. Give training windows (.h5).")
    windows = [open_window(path, labels) for path in paths]
    return sorted(windows, key=lambda window: (window.begin_time, str(window.path)))


def digest_windows(*parts: Sequence[TrainingWindow]) -> str:
    """Digest of windows and their labels, by name and content.

    Labels are read whole. Of the data, the size and two mebibytes of each file are read. This takes less
    time than an epoch.

    Parameters
    ----------
    *parts : sequence of TrainingWindow
        Windows to train on, and windows to validate on. A window that changes sides changes the digest.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    tables = {path: file_sha256(path) for path in {window.labels for part in parts for window in part}}
    for part in parts:
        digest.update(f"{len(part)}\n".encode())
        for window in part:
            facts = (window.path.name, file_hash(window.path), window.labels.name, tables[window.labels])
            digest.update(f"{facts}\n".encode())
    return digest.hexdigest()[:16]


def write_window(
    patch: Patch, picks: pd.DataFrame, path: str | Path, event: dict[str, Any] | None = None
) -> Path:
    """Write a training window: the data in the quakeflow_das layout, ``NAME.picks.parquet`` beside it.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; picks with ``event_index`` of 0 or more are labels, the others were rejected. Those
        outside the window are left out, and of a table of several cables, those of the others.
    path : str or pathlib.Path
        Ends in ``.h5``.
    event : dict, optional
        Fields of the event, such as ``event_id``, ``event_time``, ``magnitude``; written as attributes.

    Raises
    ------
    TableError
        The pick table lacks a column.
    """
    picks = _of_cable(conform(picks, PICK_COLUMNS, "picks"), get_station_id(patch))
    times = get_times(patch)
    when = picks["phase_time"].dt.tz_convert(None).to_numpy()
    inside = (when >= times[0]) & (when <= times[-1])
    inside &= picks["channel_index"].isin(get_channel_index(patch)).to_numpy()
    path = Path(path)
    # The labels first: a window without them cannot be opened, labels without a window are never looked at.
    write_table(picks[inside].reset_index(drop=True), path.with_suffix(".picks.parquet"))
    return write_quakeflow(patch.update_attrs(**(event or {})), path)


def _of_cable(picks: pd.DataFrame, station_id: str) -> pd.DataFrame:
    """Take the picks of one cable from a table of several. A table of one may name it otherwise."""
    if picks["station_id"].nunique() < 2:
        return picks
    return picks[picks["station_id"] == station_id].reset_index(drop=True)


def _recording(path: Path) -> Recording:
    """Open a window's file; the headers of the last ones are kept, until a file changes."""
    try:
        return _open(path, path.stat().st_mtime_ns)
    except OSError as error:
        raise DataFormatError(f"{path}: cannot be read as HDF5 ({error}).") from error


@lru_cache(maxsize=_HEADERS_KEPT)
def _open(path: Path, mtime_ns: int) -> Recording:  # noqa: ARG001 - a file that changed is another key
    import h5py

    with h5py.File(path, "r") as file:
        if not is_quakeflow(file, marked=False):
            raise DataFormatError(
                f"{path}: found {', '.join(file)}. Expected a dataset 'data' (channel, time)."
            )
        return open_quakeflow(path, file)[0]


def _find_labels(path: Path, labels: Path | None) -> Path:
    if labels is not None and labels.is_file():
        return labels
    folder = path.parent if labels is None else labels
    candidates = [folder / f"{path.stem}{ending}" for ending in _TABLE_ENDINGS]
    found = next((candidate for candidate in candidates if candidate.exists()), None)
    if found is None:
        raise TableError(
            f"{path}: found no labels. Expected a pick table {path.stem}.picks.parquet or {path.stem}.csv in "
            f"{folder}."
        )
    return found


def read_labels(path: Path, station_id: str) -> pd.DataFrame:
    """Read a pick table; a quakeflow_das one has neither stations nor events: all picks are its event's."""
    if path.suffix == ".parquet":
        return read_picks(path)
    table = read_csv(path)
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise TableError(f"{path}: missing column(s) {', '.join(missing)}. Expected {', '.join(_NEEDED)}.")
    defaults: dict[str, Any] = {"station_id": station_id, "event_index": 0, "phase_score": 1.0, "pick_id": -1}
    defaults |= dict.fromkeys(set(PICK_COLUMNS) - set(defaults) - set(_NEEDED), np.nan)
    for name, value in defaults.items():
        if name not in table.columns:
            table[name] = value
    return conform(table, PICK_COLUMNS, str(path))
