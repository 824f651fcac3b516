"""Training windows: quakeflow_das event files with a pick table beside each, and how they are cut."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import ConfigError, DataFormatError, MissingMetadataError, TableError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.files import find_recordings
from phasenet_das.io.formats.quakeflow import is_quakeflow, open_quakeflow, write_quakeflow
from phasenet_das.io.patch import get_channel_index, get_times, make_patch
from phasenet_das.io.recording import Recording, recording_of_patch
from phasenet_das.io.time import time_limits
from phasenet_das.picking.preprocess import condition, filter_reach
from phasenet_das.tables import PICK_COLUMNS, conform, read_picks, write_table
from phasenet_das.tables.files import read_csv
from phasenet_das.training.labels import arrivals_of_picks
from phasenet_das.training.sample import Sample

if TYPE_CHECKING:
    from dascore import Patch

log = logging.getLogger(__name__)

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
        arrivals, rejected : numpy.ndarray
            See :func:`phasenet_das.training.labels.arrivals_of_picks`.
        channel_index : numpy.ndarray, shape (channel,), int
            Channel numbers.
        """
        numbers = _with_file(self.path, _numbers)
        picks = _read_labels(self.labels, self.station_id)
        return *arrivals_of_picks(picks, numbers, self.begin_time, self.dt_s), numbers

    def load(
        self, channels: slice, samples: slice, labels: tuple[np.ndarray, np.ndarray] | None = None
    ) -> Sample:
        """Load a sample: only its channels and times are read from disk.

        Parameters
        ----------
        channels, samples : slice
            Positions within the window.
        labels : tuple of numpy.ndarray, optional
            Arrivals and rejected picks of the whole window, where they have been read already.

        Returns
        -------
        Sample
            With the arrivals of these channels, also those outside the span. Channels that are constant or
            not finite are dead, their data zero.
        """
        data = _with_file(self.path, lambda record: record.load(channels, samples))
        arrivals, rejected = self.arrivals()[:2] if labels is None else labels
        finite = np.isfinite(data).all(axis=1)
        data[~finite] = 0
        return Sample(
            data=data,
            arrivals=arrivals[:, :, channels] - samples.start,
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
    record = _with_file(path, lambda found: found)
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


def write_window(
    patch: Patch, picks: pd.DataFrame, path: str | Path, event: dict[str, Any] | None = None
) -> Path:
    """Write a training window: the data in the quakeflow_das layout, ``NAME.picks.parquet`` beside it.

    Parameters
    ----------
    picks : pandas.DataFrame
        Pick table; picks with ``event_index`` of 0 or more are labels, the others were rejected. Those
        outside the window are left out.
    path : str or pathlib.Path
        Ends in ``.h5``.
    event : dict, optional
        Fields of the event, such as ``event_id``, ``event_time``, ``magnitude``; written as attributes.

    Raises
    ------
    TableError
        The pick table lacks a column.
    """
    picks = conform(picks, PICK_COLUMNS, "picks")
    times = get_times(patch)
    when = picks["phase_time"].dt.tz_convert(None).to_numpy()
    inside = (when >= times[0]) & (when <= times[-1])
    inside &= picks["channel_index"].isin(get_channel_index(patch)).to_numpy()
    path = Path(path)
    # The labels first: a window without them cannot be opened, labels without a window are never looked at.
    write_table(picks[inside].reset_index(drop=True), path.with_suffix(".picks.parquet"))
    return write_quakeflow(patch.update_attrs(**(event or {})), path)


def cut_windows(
    source: Any,  # noqa: ANN401 - an archive, a patch, or what open_archive takes
    picks: pd.DataFrame,
    events: pd.DataFrame | None,
    folder: str | Path,
    *,
    settings: PickSettings | None = None,
    data: DataSettings | None = None,
    start: Any = None,  # noqa: ANN401 - as phasenet_das.read
    end: Any = None,  # noqa: ANN401
    before_s: float = 10.0,
    after_s: float = 20.0,
    min_channel_share: float = 0.0,
) -> list[Path]:
    """Cut a training window around each event, conditioned as the picker conditions recordings.

    Files that continue each other are read as one recording, so a window may span many files. Near a gap the
    window ends at the gap.

    Parameters
    ----------
    source : Archive, dascore.Patch, path, or sequence of paths
        Continuous recordings of one cable or of many.
    picks : pandas.DataFrame
        Pick table after association. Picks with ``event_index`` of 0 or more are labels, -1 means rejected.
        A window holds all picks inside it, also those of neighbouring events.
    events : pandas.DataFrame or None
        Event table. Windows are cut around its events, and its columns (``event_id``, ``time``) become
        attributes of the windows. None: windows are cut around all events that the picks name.
    folder : str or pathlib.Path
        Where the windows go, named ``STATION_TIME.h5`` by the time of their first kept pick.
    settings : PickSettings, optional
        Common mode, band-pass and conversion to strain rate, as for picking. Nothing is changed without it.
    data : DataSettings, optional
        Metadata that the files lack, when `source` is paths.
    start, end : str, datetime or number, optional
        Only events with an origin time in [start, end), UTC. Without an event table, the time of the event's
        first pick counts.
    before_s, after_s : float
        Time before an event's first pick and after its last one, in s.
    min_channel_share : float
        Events with kept picks on a smaller share of the channels are skipped.

    Returns
    -------
    list of pathlib.Path
        The windows by time; empty when no kept pick lies in the recordings.

    Raises
    ------
    ConfigError
        The table holds picks, but none of these cables.
    """
    recordings = _recordings(source, data)
    picks = conform(picks, PICK_COLUMNS, "picks").sort_values("phase_time", kind="stable", ignore_index=True)
    _check_stations(picks, {recording.station_id for recording in recordings})
    fields = _event_fields(picks, events, time_limits((start, end)))
    before, after = (round(seconds * 1e9) for seconds in (before_s, after_s))
    written: list[Path] = []
    skipped = 0
    of_station = dict(tuple(picks.groupby("station_id")))
    for recording in recordings:
        mine = of_station.get(recording.station_id, picks[:0]) if recording.station_id else picks
        for event, first_pick_ns, begin_ns, end_ns, share in _event_spans(mine, recording, fields):
            if share < min_channel_share:
                skipped += 1
                continue
            patch = _conditioned(recording, begin_ns - before, end_ns + after, settings or PickSettings())
            path = _free_path(Path(folder), recording.station_id, first_pick_ns, written)
            written.append(write_window(patch, mine, path, fields[event]))
    log.info("%d events: %d training windows, %d on too few channels", len(fields), len(written), skipped)
    names = {recording.station_id or "DAS" for recording in recordings}
    others = {path for name in names for path in Path(folder).glob(f"{name}_*.h5")} - set(written)
    if others:  # of another range, or outdated: training would read both
        log.warning("%s also holds %d windows of an earlier cut of the same cables", folder, len(others))
    return sorted(written, key=lambda path: path.name.rpartition("_")[2])


def _recordings(source: Any, data: DataSettings | None) -> tuple[Recording, ...]:  # noqa: ANN401
    from dascore import Patch

    if isinstance(source, Patch):
        return (recording_of_patch(source),)
    if isinstance(source, Archive):
        return source.recordings
    inputs = [source] if isinstance(source, str | Path) else source
    return open_archive(inputs, data).recordings


def _check_stations(picks: pd.DataFrame, stations: set[str]) -> None:
    known = sorted(picks["station_id"].unique())
    if known and "" not in stations and not stations & set(known):
        raise ConfigError(
            f"no pick of cable {', '.join(map(repr, sorted(stations)))}, the table has "
            f"{', '.join(known[:5])}. Give the picks of this cable, or set its station_id."
        )


def _event_fields(
    picks: pd.DataFrame,
    events: pd.DataFrame | None,
    limits: tuple[np.datetime64 | None, np.datetime64 | None],
) -> dict[int, dict[str, Any]]:
    """Return the attributes of each event with an origin time in the limits, by event index."""
    if events is None:
        kept = picks[picks["event_index"] >= 0]
        times = kept.groupby("event_index")["phase_time"].min()
        rows: dict[Any, dict[Any, Any]] = {index: {} for index in times.index}
    else:
        table = events.set_index("event_index")
        times, rows = table["time"], table.to_dict("index")
    when = pd.to_datetime(times, utc=True).dt.tz_convert(None).to_numpy("datetime64[ns]")
    inside = np.ones(len(when), bool)
    for limit, beyond in zip(limits, (np.less, np.greater_equal), strict=True):
        if limit is not None:
            inside &= ~beyond(when, limit)
    return {int(index): _attributes(rows[index]) for index in times.index[inside]}


def _attributes(event: Mapping[Any, Any]) -> dict[str, Any]:
    fields = {
        str(name): value.isoformat() if isinstance(value, pd.Timestamp) else value
        for name, value in event.items()
        if not pd.isna(value)
    }
    return {"event_time" if name == "time" else name: value for name, value in fields.items()}


def _event_spans(
    picks: pd.DataFrame, recording: Recording, events: Iterable[int]
) -> list[tuple[int, int, int, int, float]]:
    """List the events with kept picks in a recording.

    Each row holds the event, the time of its first pick inside, the times of its first and last pick on the
    cable (ns), and the share of the channels that have picks inside.
    """
    kept = picks[
        picks["event_index"].isin(set(events)) & picks["channel_index"].isin(recording.channel_index)
    ]
    kept = kept.assign(ns=kept["phase_time"].dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64))
    inside = kept[(kept["ns"] >= recording.start_ns) & (kept["ns"] < recording.end_ns)]
    found = inside.groupby("event_index").agg(first_pick=("ns", "min"), channels=("channel_index", "nunique"))
    spans = kept.groupby("event_index")["ns"].agg(["min", "max"]).loc[found.index]
    share = found["channels"] / recording.num_channels
    rows = zip(found.index, found["first_pick"], spans["min"], spans["max"], share, strict=True)
    return [
        (int(event), int(first), int(low), int(high), float(part)) for event, first, low, high, part in rows
    ]


def _conditioned(recording: Recording, begin_ns: int, end_ns: int, settings: PickSettings) -> Patch:
    """Load [begin, end) of a recording, conditioned with the surroundings on which the filters depend.

    A channel of which samples are missing becomes dead (zero).
    """
    dt_ns = recording.dt_s * 1e9
    begin = max(0, round((begin_ns - recording.start_ns) / dt_ns))
    end = min(recording.num_samples, round((end_ns - recording.start_ns) / dt_ns) + 1)
    reach = filter_reach(recording.dt_s, settings)
    low, high = max(0, begin - reach), min(recording.num_samples, end + reach)
    samples = recording.load(samples=slice(low, high))
    core = slice(begin - low, end - low)
    ready = condition(samples, recording.dt_s, recording.unit, settings)
    values = ready.data[:, core].copy()
    values[~np.isfinite(samples[:, core]).all(axis=1)] = 0.0
    return make_patch(
        values,
        start_time=np.datetime64(recording.sample_ns(begin), "ns"),
        dt_s=recording.dt_s,
        channel_index=recording.channel_index,
        distance_m=recording.distance_m,
        station_id=recording.station_id,
        unit=ready.unit,
    )


def _free_path(folder: Path, station_id: str, first_pick_ns: int, taken: list[Path]) -> Path:
    """Name a window; two events whose first picks are simultaneous get different names."""
    stem = f"{station_id or 'DAS'}_{pd.Timestamp(first_pick_ns):%Y%m%dT%H%M%S%f}"
    path, number = folder / f"{stem}.h5", 1
    while path in taken:
        number += 1
        path = folder / f"{stem}-{number}.h5"
    return path


def _with_file(path: Path, ask: Callable[[Recording], Any]) -> Any:  # noqa: ANN401 - whatever was asked
    import h5py

    try:
        with h5py.File(path, "r") as file:
            if not is_quakeflow(file, marked=False):
                raise DataFormatError(f"{path}: no dataset 'data' (channel, time); found {', '.join(file)}.")
            return ask(open_quakeflow(path, file)[0])
    except OSError as error:
        raise DataFormatError(f"{path}: cannot be read as HDF5 ({error}).") from error


def _numbers(record: Recording) -> np.ndarray:
    return record.channel_index


def _find_labels(path: Path, labels: Path | None) -> Path:
    if labels is not None and labels.is_file():
        return labels
    folder = path.parent if labels is None else labels
    candidates = [folder / f"{path.stem}{ending}" for ending in _TABLE_ENDINGS]
    found = next((candidate for candidate in candidates if candidate.exists()), None)
    if found is None:
        raise TableError(
            f"{path}: no labels; expected a pick table {path.stem}.picks.parquet or {path.stem}.csv in "
            f"{folder}."
        )
    return found


def _read_labels(path: Path, station_id: str) -> pd.DataFrame:
    """Read a pick table; a quakeflow_das one has neither stations nor events: all picks are its event's."""
    if path.suffix == ".parquet":
        return read_picks(path)
    table = read_csv(path)
    missing = [name for name in _NEEDED if name not in table.columns]
    if missing:
        raise TableError(f"{path}: missing column(s) {', '.join(missing)}; expected {', '.join(_NEEDED)}.")
    defaults: dict[str, Any] = {"station_id": station_id, "event_index": 0, "phase_score": 1.0, "pick_id": -1}
    defaults |= dict.fromkeys(set(PICK_COLUMNS) - set(defaults) - set(_NEEDED), np.nan)
    for name, value in defaults.items():
        if name not in table.columns:
            table[name] = value
    return conform(table, PICK_COLUMNS, str(path))
