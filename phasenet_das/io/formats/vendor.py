"""Files of the instruments, through dascore."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.formats.axes import BROKEN_FILE
from phasenet_das.io.formats.binary import check_segments, sintela, tdms
from phasenet_das.io.formats.patches import from_patch, patch_attrs
from phasenet_das.io.formats.segy import open_segy
from phasenet_das.io.formats.stated import OF_HDF5, compare, of_any_hdf5, text_of
from phasenet_das.io.patch import is_marked, metres, unit_text
from phasenet_das.io.quantity import refuse_no_waves
from phasenet_das.io.recording import Recording, recording_of_header

if TYPE_CHECKING:
    from dascore import Patch, PatchAttrs


# Formats whose dascore reader was found to cut time and distance right; others are read whole and cut here,
# since not all are.
_CUTS_WELL = {"DASDAE", "OptoDAS", "Silixa_H5", "TDMS", "TERRA15"}
_CONTENTS = {  # where a file names the quantity of its samples
    "APSensing": ("ProcessingServer/DataType",),
    "OptoDAS": ("header/name",),
    "TERRA15": ("data_product",),
}
_OWN_COORDINATES = {"DASDAE"}  # written by dascore, with the coordinates of each patch
_MARGIN = 0.25  # of a step, around the first and last value of a range


def open_vendor(path: Path, *, headers_only: bool = False) -> list[Recording] | None:
    """Describe a file that dascore reads, loading data only where dascore cannot describe it without."""
    import dascore
    from dascore.exceptions import UnknownFiberFormatError

    try:
        name, version = dascore.get_format(path)
    except UnknownFiberFormatError:
        return None
    except BROKEN_FILE as error:
        raise _unreadable(path, "", "", error) from error
    if name.lower() == "pickle":
        raise DataFormatError(
            f"{path}: is a pickle, which can run any code when opened. Write it as HDF5 instead."
        )
    try:
        return _open_known(path, name, version, headers_only)
    except BROKEN_FILE as error:
        if isinstance(error, PhaseNetDASError):
            raise
        raise _unreadable(path, name, version, error) from error


def _unreadable(path: Path, name: str, version: str, error: Exception) -> DataFormatError:
    from dascore.io import FiberIO

    found = FiberIO.manager.yield_fiberio(format=name) if name else ()
    known = ", ".join(sorted(item.version for item in found)) or "none"
    said = getattr(error, "errors", None)  # pydantic's text has several lines and links
    text = said()[0]["msg"] if said else str(error).strip().partition("\n")[0]
    if "CoordRange" in str(error):
        text = "the header has no whole axis of time or distance"
    return DataFormatError(
        f"{path}: cannot be read as {f'{name} {version}' if name else 'any known format'}. The reader says: "
        f"{type(error).__name__}: {text.rstrip('.')}. Expected a whole file of a version that it knows "
        f"({known}). If this one was cut short, copy it again."
    )


def _open_known(path: Path, name: str, version: str, headers_only: bool) -> list[Recording]:
    import dascore

    if name == "segy":
        return open_segy(path)
    if name == "TDMS":
        check_segments(path)
    summaries = dascore.scan(path, file_format=name, file_version=version)
    label = f"{name} {version} (dascore)"
    if headers_only and summaries and all(map(_tells_all, summaries)):
        recordings = [_scanned(path, summary, label) for summary in summaries]
    elif name in _CUTS_WELL and len(summaries) == 1 and _tells_all(summaries[0]):
        recordings = [_lazy(path, name, version, summaries[0], label)]
    else:
        patches = [
            _with_channels(item) for item in dascore.read(path, file_format=name, file_version=version)
        ]
        recordings = [item for patch in patches for item in from_patch(patch, str(path), label)]
    if not recordings:
        raise DataFormatError(
            f"{path}: found no data in this {name} {version} file. Expected at least one patch."
        )
    return _compared(path, name, recordings[0]) if len(recordings) == 1 else recordings


def _with_channels(patch: Patch) -> Patch:
    """Name the spatial dim as other readers do."""
    renamed: Patch = patch.rename_coords(channels="channel") if "channels" in patch.dims else patch
    return renamed


def _tells_all(summary: PatchAttrs) -> bool:
    """Say whether a summary describes its patch; of channel numbers it holds the first and the last only."""
    coords = summary.coords
    if is_marked(summary) or "channel_index" in coords:
        return False
    if "time" in coords and np.dtype(coords["time"].dtype).kind != "M":
        return False
    return set(summary.dim_tuple) in ({"time", "distance"}, {"time", "channel"}) and all(
        coords[dim].step is not None and coords[dim].step > np.zeros((), np.asarray(coords[dim].step).dtype)
        for dim in summary.dim_tuple
    )


def _lazy(path: Path, name: str, version: str, summary: PatchAttrs, label: str) -> Recording:
    dim, along, time = _axes(summary)
    load = partial(_read_cut, path, name, version, dim, along, time)
    return replace(
        _scanned(path, summary, label), dtype=load(slice(0, 1), slice(0, 1)).dtype, read_block=load
    )


def _axes(summary: PatchAttrs) -> tuple[str, Any, Any]:
    """Return the name and the coordinate of the spatial dim, and the coordinate of time."""
    dim = next(item for item in summary.dim_tuple if item != "time")
    return dim, summary.coords[dim].to_coord(), summary.coords["time"].to_coord()


def no_data(_channels: slice, _samples: slice) -> np.ndarray:
    """Stand in for a loader where only the header was read."""
    raise DataFormatError("only the header was read. Open the file again to load data.")


def _scanned(path: Path, summary: PatchAttrs, label: str) -> Recording:
    """Describe what dascore's scan found, without a loader."""
    dim, along, time = _axes(summary)
    return recording_of_header(
        str(path),
        (len(along), len(time)),
        no_data,
        format=label,
        start_time=time.min(),
        start_found=str(time.min()),
        dt_s=float(time.step / np.timedelta64(1, "ns")) * 1e-9,
        channel_index=along.values if dim == "channel" else None,
        distance_m=metres(along.values, along.units, str(path)) if dim == "distance" else None,
        unit=unit_text(summary.data_units),
        station_id=str(summary.station or ""),
        attrs=patch_attrs(summary),
    )


def _read_cut(
    path: Path,
    name: str,
    version: str,
    dim: str,
    along: Any,  # noqa: ANN401 - a dascore coordinate
    time: Any,  # noqa: ANN401
    channels: slice,
    samples: slice,
) -> np.ndarray:
    """Let dascore cut a block as it reads; where it cuts something else, read the whole file."""
    ranges = {}
    if channels != slice(0, len(along)):
        ranges["distance"] = _limits(along, channels)
    if samples != slice(0, len(time)):
        ranges["time"] = _limits(time, samples)
    block = _read(path, name, version, ranges)
    if _is_block(block, dim, channels, time, samples):
        return _channel_first(block, dim)
    return _channel_first(_read(path, name, version, {}), dim)[channels, samples]


def _channel_first(patch: Patch, dim: str) -> np.ndarray:
    array: np.ndarray = patch.transpose(dim, "time").data
    return array


def _read(path: Path, name: str, version: str, ranges: dict[str, Any]) -> Patch:
    import dascore

    try:
        return dascore.read(path, file_format=name, file_version=version, **ranges)[0]
    except BROKEN_FILE as error:
        raise _unreadable(path, name, version, error) from error


def _is_block(patch: Patch, dim: str, channels: slice, time: Any, samples: slice) -> bool:  # noqa: ANN401
    """Say whether dascore cut what was asked for: number of channels and samples, and start."""
    wanted = (channels.stop - channels.start, samples.stop - samples.start)
    missed = patch.get_coord("time").min() - (time.min() + time.step * samples.start)
    return patch.transpose(dim, "time").shape == wanted and bool(abs(missed) < time.step * _MARGIN)


def _limits(coord: Any, part: slice) -> tuple[Any, Any]:  # noqa: ANN401 - a dascore coordinate
    """Return the values a quarter of a step outside the first and last position."""
    margin = coord.step * _MARGIN
    return coord.min() + coord.step * part.start - margin, coord.min() + coord.step * (part.stop - 1) + margin


def _compared(path: Path, name: str, recording: Recording) -> list[Recording]:
    """Hold what dascore says of a file against what the file itself states."""
    import h5py

    if name == "TDMS":
        return compare(recording, tdms(path, recording.num_channels))
    if name == "Sintela_Binary":
        return compare(recording, sintela(path))
    if name in _OWN_COORDINATES or not h5py.is_hdf5(path):
        return [recording]
    with h5py.File(path, "r") as file:
        for place in _CONTENTS.get(name, ()):
            found = file.attrs[place] if place in file.attrs else file.get(place)
            refuse_no_waves(str(path), "" if found is None else text_of(found))
        if name == "OptoDAS":
            recording = replace(recording, channel_index=file["header/channels"][:], numbered=True)
        return compare(recording, OF_HDF5.get(name, of_any_hdf5)(file, recording))
