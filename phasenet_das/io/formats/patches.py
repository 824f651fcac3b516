"""Patches and spools of dascore."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.errors import DataFormatError
from phasenet_das.io.formats.axes import recordings_of_spans, times_of
from phasenet_das.io.patch import (
    check_array,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    is_marked,
    metres,
    numbers_lost,
    spatial_dim,
    spatial_first,
)
from phasenet_das.io.recording import Recording, read_array
from phasenet_das.io.time import Span, regular_spans

if TYPE_CHECKING:
    from dascore import BaseSpool, Patch, PatchAttrs


OWN_ATTRS = {"coords", "dims", "data_units", "unit", "units", "station_id", "dt_s", "path"}
OWN_COORDS = {"time", "distance", "channel", "channel_index", "channel_status"}


def patch_attrs(attrs: PatchAttrs) -> dict[str, Any]:
    """Return the attributes of a Patch that are not kept elsewhere."""
    return {name: value for name, value in dict(attrs).items() if name not in OWN_ATTRS and value is not None}


def is_own_patch(patch: Patch) -> bool:
    """Say whether a Patch already has this package's form."""
    return (
        patch.dims in (("distance", "time"), ("channel", "time"))
        and {"channel_index", "channel_status"} <= set(patch.coords.coord_map)
        and is_marked(patch.attrs)
    )


def from_patch(patch: Patch, label: str = "Patch", name: str = "dascore Patch") -> list[Recording]:
    """Describe a Patch of either dim order."""
    dim = spatial_dim(patch, label)
    array = check_array(spatial_first(patch), label)
    along = np.asarray(patch.get_array(dim))
    numbers = along if dim == "channel" and along.dtype.kind in "iu" else None
    if "channel_index" in patch.coords.coord_map:
        numbers = np.asarray(patch.get_array("channel_index"))
    elif numbers is None and is_marked(patch.attrs):
        raise numbers_lost(label)
    found = recordings_of_spans(
        label,
        array.shape,
        partial(read_array, array),
        _patch_spans(patch, label),
        dtype=array.dtype,
        format=name,
        channel_index=numbers,
        distance_m=metres(along, patch.get_coord(dim).units, label) if dim == "distance" else None,
        unit=get_unit(patch),
        station_id=get_station_id(patch),
        attrs=patch_attrs(patch.attrs),
        channel_coords={
            key: np.asarray(patch.get_array(key))
            for key, dims in patch.coords.dim_map.items()
            if dims == (dim,) and key not in OWN_COORDS
        },
    )
    if is_own_patch(patch):  # a start in 1970 was stated by someone
        return [replace(found[0], start_time=get_times(patch)[0])]
    return found


def _patch_spans(patch: Patch, label: str) -> list[Span]:
    coord = patch.get_coord("time")
    if coord.evenly_sampled and coord.dtype.kind == "M" and coord.step > np.timedelta64(0, "ns"):
        return [Span(0, len(coord), coord.min(), get_dt_s(patch))]
    return regular_spans(times_of(coord.values, coord.units, label), label)


def _read_spool(spool: BaseSpool, number: int, part: int, channels: slice, samples: slice) -> np.ndarray:
    """Read a block of one patch of a spool, which is read again each time and not kept."""
    return from_patch(spool[number])[part].read_block(channels, samples)


def from_spool(spool: BaseSpool, label: str = "Spool") -> list[Recording]:
    """Describe the patches of a spool; those of files are looked at one after the other and not kept."""
    from dascore.core.spool import MemorySpool

    found = list(_of_spool(spool, label, isinstance(spool, MemorySpool)))
    if not found:
        raise DataFormatError(f"{label}: holds no patch. Check the folder or the selection it was made of.")
    return found


def _of_spool(spool: BaseSpool, label: str, in_memory: bool) -> Iterator[Recording]:
    for number in range(len(spool)):
        parts = from_patch(spool[number], f"{label}, patch {number}")
        for part, recording in enumerate(parts):
            reader = recording.read_block if in_memory else partial(_read_spool, spool, number, part)
            yield replace(recording, read_block=reader)
