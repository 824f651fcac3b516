"""Anything that holds DAS data, read into one form: a dascore Patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names
from phasenet_das.io.patch import (
    get_channel_index,
    get_channel_status,
    get_data,
    get_distance_m,
    get_dt_s,
    get_station_id,
    get_times,
    get_unit,
    make_patch,
)
from phasenet_das.io.read import read  # not lazily: it would give way to its module
from phasenet_das.io.recording import Recording

if TYPE_CHECKING:
    from phasenet_das.io.archive import Archive, open_archive
    from phasenet_das.io.description import Description, describe
    from phasenet_das.io.formats.quakeflow import write_quakeflow

__all__ = [
    "Archive",
    "Description",
    "Recording",
    "describe",
    "get_channel_index",
    "get_channel_status",
    "get_data",
    "get_distance_m",
    "get_dt_s",
    "get_station_id",
    "get_times",
    "get_unit",
    "make_patch",
    "open_archive",
    "read",
    "write_quakeflow",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".archive": "Archive open_archive",
        ".description": "Description describe",
        ".formats.quakeflow": "write_quakeflow",
    },
)
