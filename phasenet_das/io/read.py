"""Read any source of DAS data into one form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import DataFormatError, SamplingError
from phasenet_das.io.patch import make_patch
from phasenet_das.io.recording import ChannelRange, Recording, Stated, TimeRange, join, resolve, select
from phasenet_das.io.timing import sample_times

if TYPE_CHECKING:
    from dascore import Patch

__all__ = ["open_source", "read"]


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
    recordings = [resolve(item, stated) for item in open_source(source)]
    recording = _only(join(recordings), time)
    rows, samples = select(recording, channels, time)
    return _build(recording, rows, samples)


def open_source(source: Any) -> list[Recording]:  # noqa: ANN401 - as read
    """Find the reader for a source, and describe its recordings without loading them.

    Parameters
    ----------
    source : as :func:`read`

    Returns
    -------
    list of Recording
        One for each unbroken span.
    """
    if isinstance(source, str | Path):
        return _open_path(Path(source))
    from dascore import Patch

    from phasenet_das.io.arrays import from_patch

    if isinstance(source, Patch):
        return from_patch(source)
    raise DataFormatError(f"{type(source).__name__}: not a source of DAS data.")


def _open_path(path: Path) -> list[Recording]:
    import h5py

    from phasenet_das.io.hdf5 import is_quakeflow, open_quakeflow
    from phasenet_das.io.vendor import open_vendor

    _check_file(path)
    if h5py.is_hdf5(path):
        try:
            with h5py.File(path, "r") as file:
                if is_quakeflow(file):
                    return open_quakeflow(path, file)
        except OSError as error:
            raise DataFormatError(
                f"{path}: damaged HDF5 file ({error}). It was probably cut short: copy it again."
            ) from error
    found = open_vendor(path)
    if found is not None:
        return found
    raise DataFormatError(f"{path}: not a format of DAS data that can be read.")


def _check_file(path: Path) -> None:
    if path.is_dir():
        raise DataFormatError(f"{path}: is a folder, expected one file. Name a file inside it.")
    if not path.exists():
        raise DataFormatError(f"{path}: no such file. Check the path.")
    if path.stat().st_size == 0:
        raise DataFormatError(
            f"{path}: the file is empty (0 bytes). It was probably not copied: copy it again."
        )


def _only(recordings: list[Recording], time: TimeRange | None) -> Recording:
    """Return the one span that a time range asks for; a gap is never bridged."""
    if len(recordings) == 1:
        return recordings[0]
    raise SamplingError("gap")


def _build(recording: Recording, rows: np.ndarray, samples: slice) -> Patch:
    block = slice(int(rows[0]), int(rows[-1]) + 1)
    data = recording.load(block, samples)
    if len(data) != len(rows):
        data = data[rows - rows[0]]
    assert (
        recording.start_time is not None
        and recording.dt_s is not None
        and recording.channel_index is not None
    )
    return make_patch(
        data,
        start_time=sample_times(recording.start_time, recording.dt_s, 1, samples.start)[0],
        dt_s=recording.dt_s,
        channel_index=recording.channel_index[rows],
        distance_m=None if recording.distance_m is None else recording.distance_m[rows],
        station_id=recording.station_id,
        unit=recording.unit,
        attrs=recording.attrs,
    )
