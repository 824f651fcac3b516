"""Objects already in memory: dascore Patch, xarray and xdas DataArray, DASPy Section."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from phasenet_das.io.patch import check_array, get_dt_s, get_station_id, get_unit, spatial_dim, spatial_first
from phasenet_das.io.recording import Loader, Recording
from phasenet_das.io.timing import Span, regular_spans

if TYPE_CHECKING:
    from dascore import Patch, PatchAttrs

__all__ = ["from_patch", "patch_attrs"]

_OWN_ATTRS = {"coords", "dims", "data_units", "unit", "station_id", "dt_s", "path"}
_OWN_COORDS = {"time", "distance", "channel", "channel_index", "channel_status"}


def patch_attrs(attrs: PatchAttrs) -> dict[str, Any]:
    """Return the attributes of a Patch that are not kept elsewhere."""
    return {
        name: value for name, value in dict(attrs).items() if name not in _OWN_ATTRS and value is not None
    }


def from_patch(patch: Patch, label: str = "Patch", format: str = "dascore Patch") -> list[Recording]:  # noqa: A002
    """Describe a Patch of either dim order.

    Parameters
    ----------
    patch : dascore.Patch
        Dims time and distance or channel.
    label, format : str
        Where it came from.

    Returns
    -------
    list of Recording
        One for each unbroken span.

    Raises
    ------
    DataFormatError
        Other dims, or no array of real numbers.
    SamplingError
        Time is irregular.
    """
    dim = spatial_dim(patch)
    array = check_array(spatial_first(patch), label)
    names = patch.coords.coord_map
    along = np.asarray(patch.get_array(dim))
    numbers = along if dim == "channel" and along.dtype.kind in "iu" else None
    if "channel_index" in names:
        numbers = np.asarray(patch.get_array("channel_index"))
    return _spans(
        array,
        _patch_spans(patch, label),
        label=label,
        format=format,
        channel_index=numbers,
        distance_m=along.astype(np.float64) if dim == "distance" else None,
        unit=get_unit(patch),
        station_id=get_station_id(patch),
        attrs=patch_attrs(patch.attrs),
        channel_coords={
            name: np.asarray(patch.get_array(name))
            for name, dims in patch.coords.dim_map.items()
            if dims == (dim,) and name not in _OWN_COORDS
        },
    )


def _patch_spans(patch: Patch, label: str) -> list[Span]:
    coord = patch.get_coord("time")
    if coord.evenly_sampled and coord.dtype.kind == "M" and coord.step > np.timedelta64(0, "ns"):
        return [Span(0, len(coord), coord.min(), get_dt_s(patch))]
    return regular_spans(np.asarray(patch.get_array("time")), label)


def _spans(array: Any, spans: list[Span], *, loader: Any = None, **known: Any) -> list[Recording]:  # noqa: ANN401
    make_loader = _array_loader if loader is None else loader
    return [
        Recording(
            shape=(array.shape[0], span.last - span.first),
            dtype=array.dtype,
            load=make_loader(array, span.first),
            start_time=span.start_time,
            start_found=str(span.start_time),
            dt_s=span.dt_s,
            **known,
        )
        for span in spans
    ]


def _array_loader(array: np.ndarray, first: int) -> Loader:
    return lambda channels, samples: array[channels, samples.start + first : samples.stop + first]
