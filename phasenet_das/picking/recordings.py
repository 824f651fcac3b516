"""Pick the recordings that settings name, and say what was examined."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.picking.picker import Picker
from phasenet_das.tables import COVERAGE_COLUMNS, conform, empty_picks

if TYPE_CHECKING:
    import dascore

__all__ = ["pick_facts", "pick_recordings", "read_recording"]

log = logging.getLogger(__name__)


def read_recording(source: str, data: DataSettings) -> dascore.Patch:
    """Read a recording with what the settings state about it.

    Parameters
    ----------
    source : str
        Path, or ``daspy:example``.
    data : DataSettings
        Cable name, channel range, and whatever the file does not say.

    Returns
    -------
    dascore.Patch
        See :func:`phasenet_das.io.read`.
    """
    return io.read(
        source,
        start_time=data.start_time,
        dt_s=data.dt_s,
        dx_m=data.dx_m,
        unit=data.unit,
        station_id=data.station_id,
        first_channel=data.first_channel,
        channels=data.channels,
    )


def pick_recordings(
    picker: Picker,
    sources: Sequence[str],
    data: DataSettings,
    settings: PickSettings,
    *,
    strict: bool = False,
    progress: bool = False,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Pick recordings one after the other.

    Parameters
    ----------
    picker : Picker
        The network.
    sources : sequence of str
        Recordings, as from :func:`phasenet_das.io.inputs.find_recordings`.
    data, settings : DataSettings, PickSettings
        What the files do not say; how to pick.
    strict : bool
        Raise at the first recording that cannot be picked, instead of going on without it.
    progress : bool
        Show progress bars.

    Returns
    -------
    picks : pandas.DataFrame
        The pick table; its ``attrs`` hold ``amplitude_unit`` and ``weights_id``.
    coverage : pandas.DataFrame
        ``phasenet_das.tables.COVERAGE_COLUMNS``: a row for each recording, and for each one left
        out the reason why.

    Raises
    ------
    PhaseNetDASError
        With `strict`, or when no recording at all could be picked.
    """
    tables, rows, units = [], [], set()
    for source in sources:
        try:
            patch = read_recording(source, data)
            picks = picker.pick(patch, settings, progress=progress)
        except PhaseNetDASError as error:
            if strict or len(sources) == 1:
                raise
            log.error("%s is left out: %s", source, error)
            rows.append(_skipped(source, data.station_id or "", str(error)))
            continue
        units.add(picks.attrs["amplitude_unit"])
        tables.append(picks)
        rows.append(_examined(source, patch))
        log.info("%s: %d picks on %d channels", source, len(picks), picks["channel_index"].nunique())
    if not tables:
        raise PhaseNetDASError(
            f"none of {len(sources)} recordings could be picked; first: {rows[0]['reason']}"
        )
    full = [table for table in tables if len(table)]
    picks = pd.concat(full, ignore_index=True) if full else empty_picks()
    picks.attrs = {"amplitude_unit": _one_unit(units), "weights_id": picker.weights.weights_id}
    return picks, conform(pd.DataFrame(rows), COVERAGE_COLUMNS, "coverage")


def pick_facts(picks: pd.DataFrame) -> dict[str, str]:
    """Give what a pick table records about itself, for its file's metadata.

    Parameters
    ----------
    picks : pandas.DataFrame
        As returned by :func:`pick_recordings`.

    Returns
    -------
    dict
        ``amplitude_unit`` and ``weights_id``.
    """
    return {name: str(picks.attrs[name]) for name in ("amplitude_unit", "weights_id")}


def _one_unit(units: set[str]) -> str:
    return units.pop() if len(units) == 1 else "mixed: " + ", ".join(sorted(units))


def _examined(source: str, patch: dascore.Patch) -> dict[str, object]:
    times, index, status = io.get_times(patch), io.get_channel_index(patch), io.get_channel_status(patch)
    names, counts = np.unique(status[status != "ok"], return_counts=True)
    interval = pd.Timedelta(seconds=io.get_dt_s(patch))
    return {
        "station_id": io.get_station_id(patch),
        "start": pd.Timestamp(times[0], tz="UTC"),
        "end": pd.Timestamp(times[-1], tz="UTC") + interval,
        "first_channel": index.min(),
        "last_channel": index.max(),
        "num_channels": int((status != "dead").sum()),
        "status": "examined",
        "reason": ", ".join(f"{count} {name} channels" for name, count in zip(names, counts, strict=True)),
        "source": source,
    }


def _skipped(source: str, station_id: str, reason: str) -> dict[str, object]:
    return {
        "station_id": station_id,
        "start": pd.NaT,
        "end": pd.NaT,
        "first_channel": -1,
        "last_channel": -1,
        "num_channels": 0,
        "status": "skipped",
        "reason": reason,
        "source": source,
    }
