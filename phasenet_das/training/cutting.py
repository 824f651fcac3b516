"""Training windows cut from recordings: one around each event that association kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.errors import ConfigError
from phasenet_das.tables import PICK_COLUMNS, conform
from phasenet_das.training.windows import write_window

log = logging.getLogger(__name__)


def cut_windows(
    source: Any,  # noqa: ANN401 - whatever io.read understands
    picks: pd.DataFrame,
    folder: str | Path,
    *,
    before_s: float = 10.0,
    after_s: float = 20.0,
    events: pd.DataFrame | None = None,
    **stated: Any,  # noqa: ANN401 - what io.read takes
) -> list[Path]:
    """Cut a training window around each event of a recording.

    Parameters
    ----------
    source : path, dascore.Patch, obspy.Stream or xarray.DataArray
        One recording of one cable.
    picks : pandas.DataFrame
        Pick table after association: ``event_index`` of 0 or more was kept, -1 rejected. Only picks of the
        recording's cable count, where the recording names it.
    folder : str or pathlib.Path
        Where the windows go, named ``STATION_TIME.h5`` by the time of their first pick, with their pick
        tables.
    before_s, after_s : float
        What stays before an event's first pick and after its last, s.
    events : pandas.DataFrame, optional
        Event table; ``event_id``, ``time`` and what else it knows goes into the windows' attributes.
    **stated
        What the file does not say, such as ``start_time`` or ``dx_m``; see :func:`phasenet_das.read`.

    Returns
    -------
    list of pathlib.Path
        The windows, by time; none where no kept pick lies in the recording. A window holds all picks in
        it, those of neighbouring events too.

    Raises
    ------
    ConfigError
        The table holds no pick of the cable.
    """
    patch = io.read(source, **stated)
    station, times = io.get_station_id(patch), io.get_times(patch)
    picks = conform(picks, PICK_COLUMNS, "picks")
    if station:
        picks = _of_station(picks, station)
    when = picks["phase_time"].dt.tz_convert(None).dt.as_unit("ns")
    inside = (when >= times[0]) & (when <= times[-1]) & (picks["event_index"] >= 0)
    log.info("%s: %d kept picks from %s to %s", station, inside.sum(), times[0], times[-1])
    spans = when[inside].groupby(picks["event_index"][inside]).agg(["min", "max"]).sort_values("min")
    margin = [pd.Timedelta(seconds=seconds) for seconds in (before_s, after_s)]
    known = {} if events is None else events.set_index("event_index").to_dict("index")
    written = []
    for event_index, (first, last) in zip(spans.index, spans.to_numpy(), strict=True):
        begin, end = first - margin[0].to_timedelta64(), last + margin[1].to_timedelta64()
        low, high = np.searchsorted(times, [begin, end])
        piece = patch.select(time=(int(low), int(high)), samples=True)
        name = f"{station or 'DAS'}_{pd.Timestamp(first):%Y%m%dT%H%M%S%f}.h5"
        written.append(
            write_window(piece, picks, Path(folder) / name, event_fields(known.get(event_index, {})))
        )
    return written


def _of_station(picks: pd.DataFrame, station: str) -> pd.DataFrame:
    mine = picks[picks["station_id"] == station]
    if len(picks) and not len(mine):
        known = ", ".join(sorted(picks["station_id"].unique())[:5])
        raise ConfigError(
            f"no pick of cable '{station}', the table has {known}. Give its picks, or say station_id=."
        )
    return mine


def event_fields(event: Mapping[Any, Any]) -> dict[str, Any]:
    """Turn a row of an event table into attributes of a training window."""
    fields = {
        str(name): value.isoformat() if isinstance(value, pd.Timestamp) else value
        for name, value in event.items()
        if not pd.isna(value)
    }
    return {"event_time" if name == "time" else name: value for name, value in fields.items()}
