"""Training windows cut from recordings: around events, with completed labels, and of nothing but noise."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import ConfigError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.patch import get_channel_index, get_data, get_dt_s, get_times, make_patch
from phasenet_das.io.recording import Recording, recording_of_patch
from phasenet_das.io.time import time_limits
from phasenet_das.matching import time_ns
from phasenet_das.picking.preprocess import condition, filter_reach
from phasenet_das.tables import PICK_COLUMNS, conform
from phasenet_das.training.labels import PICKED, complete_labels
from phasenet_das.training.moveout import align_arrivals
from phasenet_das.training.quiet import quiet_spans
from phasenet_das.training.windows import QUIET, write_window

if TYPE_CHECKING:
    from dascore import Patch

log = logging.getLogger(__name__)

_QUIET_SHARE = 0.5  # windows of noise to those of events, at most


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
    before_s: float = 30.0,
    after_s: float = 40.0,
    min_channel_share: float = 0.0,
    complete_channels: int = 25,
    label_sigma_s: float = 0.1,
    align_window_s: float = 0.0,
    faint: pd.DataFrame | None = None,
    agreeing: pd.DataFrame | None = None,
    coverage: pd.DataFrame | None = None,
) -> list[Path]:
    """Cut windows around events and of noise, conditioned as the picker conditions recordings.

    Labels are completed along the cable (:func:`phasenet_das.training.labels.complete_labels`). Pairs of
    fronts that the associator did not see have windows of their own. Windows of noise lie where neither an
    event nor coherent picks are, half as many as windows of events at most; they are named
    ``STATION_quiet_TIME.h5``, and their tables hold no label.

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
        Events with picks on a smaller share of the channels are skipped; completed labels do not count.
    complete_channels : int
        Channels to each side along which labels are completed; 0 leaves picks as they are.
    label_sigma_s : float
        Standard deviation of a label in time, s.
    align_window_s : float
        Labels are moved so that waveforms of this length agree with the neighbours', s; 0 for not.
    faint : pandas.DataFrame, optional
        All picks of the same network, also those of low scores: where some of them are coherent, there may
        be an event, and nothing is taught.
    agreeing : pandas.DataFrame, optional
        Picks of another network after association. Labels that it lacks count half.
    coverage : pandas.DataFrame, optional
        Spans that were picked (``COVERAGE_COLUMNS``). Windows of noise lie inside them. Without a coverage
        table, they lie between the first and the last pick.

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
    limits = time_limits((start, end))
    fields = _event_fields(picks, events, limits)
    before, after = (round(seconds * 1e9) for seconds in (before_s, after_s))
    written: list[Path] = []
    quiet: list[tuple[Recording, pd.DataFrame, int, int]] = []
    skipped, taught = 0, set[int]()
    of_station = dict(tuple(picks.groupby("station_id")))
    known: tuple[Any, pd.DataFrame] = (None, picks[:0])
    for recording in recordings:
        mine = of_station.get(recording.station_id, picks[:0]) if recording.station_id else picks
        cable = (recording.station_id, recording.channel_index.tobytes())
        if known[0] != cable:  # the recordings of a cable come one after another and share its labels
            completed = complete_labels(
                _with_faint(mine, faint, recording.station_id),
                recording.channel_index,
                half_width=complete_channels,
                sigma_s=label_sigma_s,
                agreeing=agreeing,
            )
            known = cable, _numbered_above(completed, _last_event(mine), _last_event(picks))
        labels = known[1]
        wanted = fields | _event_fields(labels[labels["event_index"] > _last_event(picks)], None, limits)
        taught |= set(labels["event_index"])
        for event, first_pick_ns, begin_ns, end_ns, share in _event_spans(labels, recording, wanted):
            if share < min_channel_share:
                skipped += 1
                continue
            span = (begin_ns - before, end_ns + after)
            patch = _conditioned(recording, *span, settings or PickSettings())
            path = _free_path(Path(folder), recording.station_id, first_pick_ns, written)
            inside = _between(labels, *span)
            if align_window_s:
                inside = align_labels(inside, patch, complete_channels, align_window_s)
            written.append(write_window(patch, inside, path, wanted[event]))
        spans = quiet_spans(recording, labels, mine, coverage, limits)
        quiet += [(recording, labels, *span) for span in spans.tolist()]
    events_cut, most = len(written), int(np.ceil(_QUIET_SHARE * len(written)))
    chosen = np.unique(np.linspace(0, len(quiet) - 1, min(most, len(quiet))).round().astype(int))
    written += [_write_quiet(quiet[number], Path(folder), settings or PickSettings()) for number in chosen]
    log.info(
        "%d events: %d training windows, and %d of noise. Left out: %d on too few channels, %d without P and "
        "S labels",
        *(len(fields), events_cut, len(written) - events_cut, skipped, len(set(fields) - taught)),
    )
    _warn_of_others(Path(folder), {recording.station_id or "DAS" for recording in recordings}, written)
    return sorted(written, key=lambda path: path.name.rpartition("_")[2])


def _last_event(picks: pd.DataFrame) -> int:
    return int(picks["event_index"].max()) if len(picks) else -1


def _numbered_above(labels: pd.DataFrame, last: int, last_of_all: int) -> pd.DataFrame:
    """Give events above the `last` of a cable, which the associator lacks, numbers above all cables' own."""
    number = labels["event_index"]
    return labels.assign(event_index=number.where(number <= last, number + last_of_all - last))


def _warn_of_others(folder: Path, names: Iterable[str], written: Iterable[Path]) -> None:
    """Warn of windows of another range, or outdated: training would read both."""
    others = {path for name in names for path in folder.glob(f"{name}_*.h5")} - set(written)
    if others:
        log.warning("%s also holds %d windows of an earlier cut of the same cables", folder, len(others))


def _write_quiet(
    quiet: tuple[Recording, pd.DataFrame, int, int], folder: Path, settings: PickSettings
) -> Path:
    """Write a window of noise; its table holds picks that may be arrivals, and no label."""
    recording, labels, begin_ns, end_ns = quiet
    patch = _conditioned(recording, begin_ns, end_ns, settings)
    path = folder / f"{recording.station_id or 'DAS'}{QUIET}{pd.Timestamp(begin_ns):%Y%m%dT%H%M%S%f}.h5"
    rest = labels[labels["event_index"] < 0]
    return write_window(patch, _between(rest, begin_ns, end_ns), path, {"quiet": True})


def _between(labels: pd.DataFrame, begin_ns: int, end_ns: int) -> pd.DataFrame:
    """Select the labels within a second of a window."""
    when = time_ns(labels["phase_time"])
    return labels[(when >= begin_ns - 1_000_000_000) & (when <= end_ns + 1_000_000_000)]


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
    labels: pd.DataFrame, recording: Recording, events: Iterable[int]
) -> list[tuple[int, int, int, int, float]]:
    """List the events with labels in a recording.

    Each row holds the event, the time of its first label inside, the times of its first and last label on
    the cable (ns), and the share of the channels that have picks inside.
    """
    kept = labels[
        labels["event_index"].isin(set(events)) & labels["channel_index"].isin(recording.channel_index)
    ]
    kept = kept.assign(ns=kept["phase_time"].dt.tz_convert(None).to_numpy("datetime64[ns]").astype(np.int64))
    inside = kept[(kept["ns"] >= recording.start_ns) & (kept["ns"] < recording.end_ns)]
    inside = inside.assign(picked=inside["channel_index"].where(inside["label_kind"] == PICKED))
    found = inside.groupby("event_index").agg(first_pick=("ns", "min"), channels=("picked", "nunique"))
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


def _with_faint(picks: pd.DataFrame, faint: pd.DataFrame | None, station_id: str) -> pd.DataFrame:
    """Join picks after association and the picks of low scores that association did not see."""
    if faint is None:
        return picks
    mine = faint["station_id"] == station_id if station_id else True
    others = faint[mine & ~faint["pick_id"].isin(picks["pick_id"])]
    others = conform(others, PICK_COLUMNS, "faint picks").assign(event_index=-1)
    return pd.concat([picks, others], ignore_index=True)


def align_labels(labels: pd.DataFrame, patch: Patch, half_width: int, window_s: float) -> pd.DataFrame:
    """Move the labels inside a patch so that waveforms agree with those of their neighbours."""
    dt_s, begin = get_dt_s(patch), get_times(patch)[0].astype("datetime64[ns]").astype(np.int64)
    row = pd.Index(get_channel_index(patch)).get_indexer(pd.Index(labels["channel_index"]))
    sample = (time_ns(labels["phase_time"]) - begin) * 1e-9 / dt_s
    taught = (labels["event_index"] >= 0).to_numpy() & (row >= 0)
    moved = np.zeros(len(labels))
    for place in labels[taught].groupby(["event_index", "phase_type"]).indices.values():
        chosen = np.flatnonzero(taught)[place]
        times = np.full(len(get_data(patch)), np.nan)
        times[row[chosen]] = sample[chosen]
        aligned = align_arrivals(get_data(patch), times, half_width=half_width, window=round(window_s / dt_s))
        moved[chosen] = aligned[row[chosen]] - sample[chosen]
    shift = pd.to_timedelta(np.rint(moved * dt_s * 1e9).astype(np.int64), unit="ns")
    return labels.assign(phase_time=labels["phase_time"] + shift)
