"""Read any source of DAS data into one form."""

from __future__ import annotations

import itertools
import logging
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import ConfigError, DataFormatError, SamplingError
from phasenet_das.io.formats import package_of
from phasenet_das.io.patch import NONFINITE, OK, get_station_id, make_patch, spatial_dim
from phasenet_das.io.recording import ChannelRange, Recording, channel_rows
from phasenet_das.io.time import TimeRange, time_limits

if TYPE_CHECKING:
    from dascore import Patch

    from phasenet_das.io.archive import Archive
    from phasenet_das.io.metadata import UserMetadata

log = logging.getLogger(__name__)

_SHOWN = 5
_DT_TOLERANCE = 1e-6


def read(
    source: Any,  # noqa: ANN401 - a path or one of several packages' objects
    *,
    start_time: Any = None,  # noqa: ANN401
    dt_s: float | None = None,
    dx_m: float | None = None,
    unit: str | None = None,
    station_id: str | None = None,
    first_channel: int | None = None,
    channels: ChannelRange | None = None,
    time: TimeRange | None = None,
    any_quantity: bool = False,
) -> Patch:
    """Read DAS data into a Patch.

    Parameters
    ----------
    source : path, dascore.Patch or Spool, obspy.Stream, xarray or xdas DataArray, daspy Section, or a list
        A path may be of any file that dascore reads, of the quakeflow_das HDF5 layout, of miniSEED with
        one trace a channel, or of xdas netCDF. ``"daspy:example"`` is the record that the
        package daspy-toolbox carries. A list, or a spool, is merged to one recording without a gap.
    start_time : str, datetime, numpy.datetime64 or obspy.UTCDateTime, optional
        Time of the first sample, if the source does not say (UTC).
    dt_s : float, optional
        Sampling interval in s, if the source does not say.
    dx_m : float, optional
        Channel spacing in m, if the source does not say; channel k is then at k times `dx_m`.
    unit : str, optional
        Unit of the data, if the source does not say or says it in words that cannot be parsed.
    station_id : str, optional
        Name of the cable; wins over the source's. Without any the cable is called after its file, "DAS" in
        memory.
    first_channel : int, optional
        Number of the first channel, if the source does not say.
    channels : slice or (int, int), optional
        Range of channel numbers, half open; channels keep their numbers.
    time : (start, end), optional
        Range of times, half open, None for open.
    any_quantity : bool, optional
        Whether to read what is not seismic by its rate (below 1 Hz) or unit (temperature, power).

    Returns
    -------
    dascore.Patch
        Dims ``("distance", "time")``, or ``("channel", "time")`` when the distance is unknown; see
        :func:`phasenet_das.io.make_patch`. The data keep their dtype; ``get_data`` gives float32.

    Raises
    ------
    DataFormatError
        No DAS data, damaged, several cables in one source, or every channel dead.
    MissingMetadataError
        Start time or sampling interval are unknown; nothing is assumed.
    SamplingError
        Interval zero, negative or irregular, or a gap inside what was asked for.
    ChannelGeometryError, UnitError, ConfigError
        A statement contradicts the source, or a range holds nothing.
    MissingPackageError
        The source needs an optional package.
    """
    from phasenet_das.io.archive import archive_of_source
    from phasenet_das.io.metadata import UserMetadata

    user = UserMetadata(start_time, dt_s, dx_m, unit, station_id, first_channel, any_quantity)
    if channels is None and time is None and _is_ready(source, user):
        _refuse_if_dead("Patch", source.data, np.asarray(source.get_array("channel_status")))
        return _named(source)
    archive = archive_of_source(source, user)
    recording = cut(_one_recording(archive, time), channels, time)
    overlaps = archive.coverage.loc[archive.coverage["status"].isin(["overlapped", "duplicate"]), "reason"]
    for note in (*recording.warnings, *overlaps[:_SHOWN]):
        warnings.warn(note, UserWarning, stacklevel=2)
    return load_patch(recording)


def _is_ready(source: Any, user: UserMetadata) -> bool:  # noqa: ANN401
    if user or package_of(source) != "dascore" or not hasattr(source, "dims"):
        return False
    from phasenet_das.io.formats.patches import is_own_patch

    return is_own_patch(source)


def _named(patch: Patch) -> Patch:
    if get_station_id(patch):
        return patch
    log.info("the patch does not name its cable: it is called DAS. Set station_id= to name it")
    named: Patch = patch.update_attrs(station_id="DAS")
    return named


def cut(recording: Recording, channels: ChannelRange | None, time: TimeRange | None) -> Recording:
    """Narrow a recording to a range of channel numbers and times, without loading it."""
    rows = channel_rows(recording, channels)
    samples = recording.sample_range(*(time_limits(time) if time is not None else (None, None)))
    if samples.start == samples.stop:
        start, end = (None, None) if time is None else time
        raise ConfigError(
            f"{recording.label}: no sample in [{start}, {end}). The recording runs from "
            f"{recording.start_time} to {recording.end_time}."
        )
    return recording.narrow(rows, samples)


def gaps_of(recordings: list[Recording]) -> list[tuple[np.datetime64, np.datetime64]]:
    """List the gaps between recordings that follow each other in time."""
    return [(one.end_time, other.start_time) for one, other in itertools.pairwise(recordings)]


def _one_recording(archive: Archive, time: TimeRange | None) -> Recording:
    """Return the one recording that a time range falls into; a gap is never bridged."""
    start, end = (None, None) if time is None else time_limits(time)
    inside = [
        item
        for item in archive.recordings
        if (start is None or item.end_time > start) and (end is None or item.start_time < end)
    ]
    if len(inside) == 1:
        return inside[0]
    found = inside or list(archive.recordings)
    label = found[0].label
    if not inside:
        spans = ", ".join(f"{one.start_time} to {one.end_time}" for one in found[:_SHOWN])
        raise ConfigError(
            f"{label}: the time range [{start}, {end}) holds no data. Expected a part of {spans}."
        )
    check_one_cable(found)
    gaps = ", ".join(f"{a} to {b}" for a, b in gaps_of(found)[:_SHOWN])
    raise SamplingError(
        f"{label}: {len(inside) - 1} gap(s) in the recording ({gaps}). Gaps are never bridged: read each "
        f"side apart, with time=(start, end). {found[0].gap_note}".rstrip()
    )


def check_one_cable(recordings: list[Recording]) -> None:
    """Refuse recordings that differ in more than time."""
    first = recordings[0]
    for other in recordings[1:]:
        if abs(other.dt_s / first.dt_s - 1) > _DT_TOLERANCE:
            raise SamplingError(
                f"{other.label}: the sampling interval changes from {first.dt_s} to {other.dt_s} s at "
                f"{other.start_time}. Split the file."
            )
        same = np.array_equal(first.channel_index, other.channel_index) and np.allclose(
            first.distance_m, other.distance_m, equal_nan=True
        )
        if first.station_id != other.station_id or not same or first.unit != other.unit:
            raise DataFormatError(
                f"{other.label}: holds several cables, units or sets of channels ({first.num_channels} and "
                f"{other.num_channels}). Expected one cable. Read each apart, or all with open_archive()."
            )


def load_patch(recording: Recording) -> Patch:
    """Load a whole recording as a Patch."""
    data = recording.read_block(slice(0, recording.num_channels), slice(0, recording.num_samples))
    patch = make_patch(
        data,
        start_time=recording.start_time,
        dt_s=recording.dt_s,
        channel_index=recording.channel_index,
        distance_m=recording.distance_m,
        station_id=recording.station_id,
        unit=recording.unit,
        attrs=recording.attrs,
    )
    _refuse_if_dead(recording.label, data, np.asarray(patch.get_array("channel_status")))
    if recording.channel_coords:
        dim = spatial_dim(patch)
        patch = patch.update_coords(**{name: (dim, v) for name, v in recording.channel_coords.items()})
    return patch


def _refuse_if_dead(label: str, data: np.ndarray, status: np.ndarray) -> None:
    if (status == OK).any() or ((status == NONFINITE).any() and np.isfinite(data[status == NONFINITE]).any()):
        return
    raise DataFormatError(
        f"{label}: all {len(status)} channels are dead (constant or not finite). Nothing can be picked here: "
        "check the "
        "interrogator, or read another range of channels or time."
    )
