"""Files of the instruments, through dascore."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import DataFormatError, PhaseNetDASError
from phasenet_das.io.formats.axes import BROKEN_FILE
from phasenet_das.io.formats.patches import from_patch, patch_attrs
from phasenet_das.io.patch import is_marked, metres, unit_text
from phasenet_das.io.recording import Recording, recording_of_header
from phasenet_das.io.time import usable_start

if TYPE_CHECKING:
    import h5py
    from dascore import Patch, PatchAttrs


# Formats whose dascore reader was found to cut time and distance right; others are read whole and cut here,
# since not all are (dascore 0.1.24 returns a cut of Febus data one sample late).
_CUTS_WELL = {"DASDAE", "GDR_DAS", "OptoDAS", "PRODML", "Silixa_H5", "TDMS", "TERRA15"}
_ROUNDING_S = 1e-9
_BLOCK_JITTER = 0.1  # by which the time stamps of blocks may vary
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
        raise _unreadable(path, "any known format", error) from error
    if name.lower() == "pickle":
        raise DataFormatError(
            f"{path}: is a pickle, which can run any code when opened. Write it as HDF5 instead."
        )
    try:
        return _open_known(path, name, version, headers_only)
    except BROKEN_FILE as error:
        if isinstance(error, PhaseNetDASError):
            raise
        raise _unreadable(path, f"{name} {version}", error) from error


def _unreadable(path: Path, name: str, error: Exception) -> DataFormatError:
    return DataFormatError(
        f"{path}: cannot be read as {name} ({type(error).__name__}: {error}). The file is probably "
        "cut short or damaged: copy it again."
    )


def _open_known(path: Path, name: str, version: str, headers_only: bool) -> list[Recording]:
    import dascore

    summaries = dascore.scan(path, file_format=name, file_version=version)
    label = f"{name} {version} (dascore)"
    if headers_only and summaries and all(map(_tells_all, summaries)):
        recordings = [_scanned(path, summary, label) for summary in summaries]
    elif name in _CUTS_WELL and len(summaries) == 1 and _tells_all(summaries[0]):
        recordings = [_lazy(path, name, version, summaries[0], label)]
    else:
        patches = dascore.read(path, file_format=name, file_version=version)
        recordings = [item for patch in patches for item in from_patch(patch, str(path), label)]
    if not recordings:
        raise DataFormatError(
            f"{path}: found no data in this {name} {version} file. Expected at least one patch."
        )
    complete = _COMPLETE.get(name)
    return (
        recordings if complete is None or len(recordings) > 1 else [_completed(path, recordings[0], complete)]
    )


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
        raise _unreadable(path, f"{name} {version}", error) from error


def _is_block(patch: Patch, dim: str, channels: slice, time: Any, samples: slice) -> bool:  # noqa: ANN401
    """Say whether dascore cut what was asked for: number of channels and samples, and start."""
    wanted = (channels.stop - channels.start, samples.stop - samples.start)
    missed = patch.get_coord("time").min() - (time.min() + time.step * samples.start)
    return patch.transpose(dim, "time").shape == wanted and bool(abs(missed) < time.step * _MARGIN)


def _limits(coord: Any, part: slice) -> tuple[Any, Any]:  # noqa: ANN401 - a dascore coordinate
    """Return the values a quarter of a step outside the first and last position."""
    margin = coord.step * _MARGIN
    return coord.min() + coord.step * part.start - margin, coord.min() + coord.step * (part.stop - 1) + margin


def _completed(
    path: Path, recording: Recording, complete: Callable[[h5py.File, Recording], Recording]
) -> Recording:
    """Add what dascore leaves out of a format's header."""
    import h5py

    with h5py.File(path, "r") as file:
        return complete(file, recording)


def _complete_optodas(file: h5py.File, recording: Recording) -> Recording:
    unit = file["header/unit"][()]
    text = unit.decode(errors="replace") if isinstance(unit, bytes) else str(unit)
    return replace(
        recording,
        channel_index=file["header/channels"][:],
        numbered=True,
        unit=text.strip() or recording.unit,
    )


def _complete_febus(file: h5py.File, recording: Recording) -> Recording:
    """Take the interval from the sampling rate (dascore rounds it), and compare it with the block stamps."""
    group, source, zone = (str(recording.attrs.get(key, "")) for key in ("group", "source", "zone"))
    found = file[f"{group}/{source}/{zone}"].attrs.get("SamplingRate")
    if np.isnan(recording.dt_s) or found is None:
        return recording
    stated = 1.0 / float(np.ravel(found)[0])
    dt_s = stated if abs(stated - recording.dt_s) < _ROUNDING_S else recording.dt_s
    recording = replace(recording, dt_s=dt_s)
    stamps = np.ravel(file[f"{group}/{source}/time"][:])
    kept_s = recording.num_samples * dt_s / len(stamps)
    apart_s = float(np.median(np.diff(stamps))) if len(stamps) > 1 else kept_s
    if abs(apart_s / kept_s - 1) < _BLOCK_JITTER:
        return recording
    note = (
        f"{recording.label}: block time stamps are {apart_s:.3g} s apart, but dascore keeps {kept_s:.3g} s "
        "of each "
        "block. The header contradicts itself: check times against another reader before trusting them."
    )
    return replace(recording, warnings=(*recording.warnings, note))


def _complete_terra15(file: h5py.File, recording: Recording) -> Recording:
    """Take the interval from the first and last GPS time: dascore rounds it to whole nanoseconds."""
    group = file["data_product"] if "data_product" in file else file[str(file.attrs["data_product"])]
    times = group["gps_time" if "gps_time" in group else "posix_time"][:]
    times = times[times > 0]
    if len(times) != recording.num_samples or len(times) < 2:
        return recording
    return replace(recording, dt_s=float((times[-1] - times[0]) / (len(times) - 1)))


def _complete_prodml(file: h5py.File, recording: Recording) -> Recording:
    """Take number of the first locus, and the start from the time array when its text says 1970."""
    acquisition = file["Acquisition"]
    first = int(acquisition.attrs.get("StartLocusIndex", -1))
    if first >= 0:  # negative numbers would collide with -1, the number of a seismometer
        recording = replace(recording, channel_index=first + np.arange(recording.num_channels), numbered=True)
    if not np.isnat(recording.start_time):
        return recording
    arrays = [group["RawDataTime"] for group in acquisition.values() if "RawDataTime" in group]
    start = np.datetime64(int(arrays[0][0]), "us").astype("datetime64[ns]") if arrays else None
    return replace(recording, start_time=usable_start(start))


_COMPLETE: dict[str, Callable[[Any, Recording], Recording]] = {
    "febus": _complete_febus,
    "OptoDAS": _complete_optodas,
    "TERRA15": _complete_terra15,
    "PRODML": _complete_prodml,
}
