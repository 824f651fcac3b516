"""Read any source of DAS data into one form."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import ConfigError, DataFormatError, SamplingError
from phasenet_das.io.opened import (
    ChannelRange,
    Opened,
    Stated,
    TimeRange,
    cut,
    end_time,
    gaps,
    join,
    resolve,
    time_axis,
    time_limits,
)
from phasenet_das.io.patch import NONFINITE, OK, make_patch, spatial_dim

if TYPE_CHECKING:
    from dascore import Patch


DASPY_EXAMPLE = "daspy:example"


class NoRecordingError(DataFormatError):
    """A file is of no format of DAS data, as opposed to a damaged one."""


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
) -> Patch:
    """Read DAS data into a Patch.

    Parameters
    ----------
    source : path, dascore.Patch, obspy.Stream, xarray.DataArray, xdas.DataArray or daspy Section
        A path may be of any file that dascore reads, of the quakeflow_das HDF5 layout, of miniSEED with
        one trace a channel, or of xdas netCDF. ``"daspy:example"`` is the record that the
        package daspy-toolbox carries.
    start_time : str, datetime, numpy.datetime64 or obspy.UTCDateTime, optional
        Time of the first sample, if the source does not say (UTC).
    dt_s : float, optional
        Sampling interval in s, if the source does not say.
    dx_m : float, optional
        Channel spacing in m, if the source does not say; channel k is then at k times `dx_m`.
    unit : str, optional
        Unit of the data, if the source does not say or says it in words that cannot be parsed.
    station_id : str, optional
        Name of the cable; wins over the source's.
    first_channel : int, optional
        Number of the first channel, if the source does not say.
    channels : slice or (int, int), optional
        Range of channel numbers, half open; channels keep their numbers.
    time : (start, end), optional
        Range of times, half open, None for open.

    Returns
    -------
    dascore.Patch
        Dims ``("distance", "time")``, or ``("channel", "time")`` when the distance is unknown; see
        :func:`phasenet_das.io.make_patch`. The data keep their dtype; ``get_data`` gives float32.

    Raises
    ------
    DataFormatError
        No DAS data, damaged, several cables in one file, or every channel dead.
    MissingMetadataError
        Start time or sampling interval are unknown; nothing is assumed.
    SamplingError
        Interval zero, negative or irregular, or a gap inside what was asked for.
    ChannelGeometryError, UnitError, ConfigError
        A statement contradicts the source, or a range holds nothing.
    MissingPackageError
        The source needs an optional package.
    """
    stated = Stated(start_time, dt_s, dx_m, unit, station_id, first_channel)
    if not stated and channels is None and time is None and _is_ready(source):
        patch: Patch = source
        return patch
    recordings = join([resolve(item, stated) for item in open_source(source)])
    recording = cut(_one_span(recordings, time), channels, time)
    for note in recording.warnings:
        warnings.warn(note, UserWarning, stacklevel=2)
    return _load(recording)


def _is_ready(source: Any) -> bool:  # noqa: ANN401
    if _package(source) != "dascore":
        return False
    from phasenet_das.io.arrays import is_own_patch

    return is_own_patch(source)


def _package(source: Any) -> str:  # noqa: ANN401
    """Name the package that an object is from, without importing it."""
    return type(source).__module__.split(".", maxsplit=1)[0]


def open_source(source: Any, *, headers_only: bool = False) -> list[Opened]:  # noqa: ANN401 - as read
    """Find the reader for a source, and describe its recordings without loading them."""
    if isinstance(source, str | os.PathLike):
        return _open_example() if str(source) == DASPY_EXAMPLE else _open_path(Path(source), headers_only)
    open_object = _OBJECTS.get((_package(source), type(source).__name__))
    if open_object is None:
        raise DataFormatError(
            f"{type(source).__module__}.{type(source).__name__} is not a source of DAS data. Expected a "
            "path, a dascore "
            "Patch, an ObsPy Stream, an xarray or xdas DataArray, or a DASPy Section; for an array use "
            "make_patch()."
        )
    return open_object(source)


def _open_example() -> list[Opened]:
    from phasenet_das.io.arrays import daspy_example

    return daspy_example()


def _open_patch(source: Any) -> list[Opened]:  # noqa: ANN401
    from phasenet_das.io.arrays import from_patch

    return from_patch(source)


def _open_dataarray(source: Any) -> list[Opened]:  # noqa: ANN401
    from phasenet_das.io.arrays import from_dataarray

    return from_dataarray(source)


def _open_section(source: Any) -> list[Opened]:  # noqa: ANN401
    from phasenet_das.io.arrays import from_section

    return from_section(source)


def _open_stream(source: Any) -> list[Opened]:  # noqa: ANN401
    from phasenet_das.io.streams import from_stream

    return from_stream(source)


_OBJECTS: dict[tuple[str, str], Callable[[Any], list[Opened]]] = {
    ("dascore", "Patch"): _open_patch,
    ("daspy", "Section"): _open_section,
    ("obspy", "Stream"): _open_stream,
    ("xarray", "DataArray"): _open_dataarray,
    ("xdas", "DataArray"): _open_dataarray,
}


def _open_path(path: Path, headers_only: bool) -> list[Opened]:
    import h5py

    from phasenet_das.io.streams import is_miniseed, open_miniseed
    from phasenet_das.io.vendor import open_vendor

    _check_file(path)
    if is_miniseed(path):
        return open_miniseed(path)
    found = _open_own_hdf5(path) if h5py.is_hdf5(path) else None
    if found is None:
        found = open_vendor(path, headers_only=headers_only)
    if found is None and h5py.is_hdf5(path):
        found = _open_plain_hdf5(path)
    if found is None:
        raise NoRecordingError(
            f"{path}: not a format of DAS data that can be read. Expected HDF5 with a dataset 'data' "
            "(channel, time), a "
            "format of dascore, miniSEED, or xdas netCDF; check that it is the data file and not a table or "
            "a log."
        )
    return found


def _open_own_hdf5(path: Path) -> list[Opened] | None:
    """Open the HDF5 layouts that dascore does not read."""
    import h5py

    from phasenet_das.io.arrays import open_xdas
    from phasenet_das.io.hdf5 import is_quakeflow, open_quakeflow

    try:
        with h5py.File(path, "r") as file:
            if is_quakeflow(file):
                return open_quakeflow(path, file)
            is_netcdf = "_NCProperties" in file.attrs or "Conventions" in file.attrs
    except OSError as error:
        raise DataFormatError(
            f"{path}: damaged HDF5 file ({error}). It was probably cut short: copy it again."
        ) from error
    return open_xdas(path) if is_netcdf else None


def _open_plain_hdf5(path: Path) -> list[Opened] | None:
    """Open HDF5 with a dataset ``data`` and no word about time: the caller has to state it."""
    import h5py

    from phasenet_das.io.hdf5 import is_quakeflow, open_quakeflow

    with h5py.File(path, "r") as file:
        return open_quakeflow(path, file) if is_quakeflow(file, marked=False) else None


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataFormatError(f"{path}: is a folder, expected one file. Name a file inside it.")
    if not path.exists():
        raise DataFormatError(f"{path}: no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DataFormatError(
            f"{path}: the file is empty (0 bytes). It was probably not copied: copy it again."
        )


def _one_span(recordings: list[Opened], time: TimeRange | None) -> Opened:
    """Return the one span that a time range falls into; a gap is never bridged."""
    start, end = (None, None) if time is None else time_limits(time)
    inside = [
        item
        for item in recordings
        if (start is None or end_time(item) > start) and (end is None or time_axis(item)[0] < end)
    ]
    if len(inside) == 1:
        return inside[0]
    label = recordings[0].label
    found = "; ".join(f"{a} to {b}" for a, b in gaps(inside or recordings)[:5])
    if not inside:
        raise ConfigError(f"{label}: the time range [{start}, {end}) holds no data. Gaps: {found}.")
    raise SamplingError(
        f"{label}: {len(inside) - 1} gap(s) in the recording ({found}). Gaps are never bridged: read each "
        "span apart, "
        f"with time=(start, end). {recordings[0].gap_note}".rstrip()
    )


def _load(recording: Opened) -> Patch:
    data = recording.load(slice(0, recording.shape[0]), slice(0, recording.shape[1]))
    start, dt_s = time_axis(recording)
    patch = make_patch(
        data,
        start_time=start,
        dt_s=dt_s,
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
