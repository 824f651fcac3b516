"""Anything that holds DAS data, read into one form: a dascore Patch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
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

__getattr__ = lazy_names(
    __name__,
    {
        "Description": ".description",
        "describe": ".description",
        "get_channel_index": ".patch",
        "get_channel_status": ".patch",
        "get_data": ".patch",
        "get_distance_m": ".patch",
        "get_dt_s": ".patch",
        "get_station_id": ".patch",
        "get_times": ".patch",
        "get_unit": ".patch",
        "make_patch": ".patch",
        "read": ".read",
        "write_quakeflow": ".hdf5",
    },
)
