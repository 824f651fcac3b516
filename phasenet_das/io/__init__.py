"""Anything that holds DAS data, read into one form: a dascore Patch."""

from __future__ import annotations

from phasenet_das.io.description import Description, describe
from phasenet_das.io.hdf5 import write_quakeflow
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
from phasenet_das.io.read import read

__all__ = [
    "Description",
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
    "read",
    "write_quakeflow",
]
