"""Tables of picks, events, channels and coverage: their columns, files and identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.tables.channels import read_channels, write_channels
    from phasenet_das.tables.codes import station_codes
    from phasenet_das.tables.columns import (
        CHANNEL_COLUMNS,
        COVERAGE_COLUMNS,
        EVENT_COLUMNS,
        GROUP_COLUMNS,
        PICK_COLUMNS,
        conform,
        empty_picks,
        with_event_phase,
    )
    from phasenet_das.tables.files import (
        PickWriter,
        atomic_path,
        read_catalog,
        read_coverage,
        read_events,
        read_groups,
        read_metadata,
        read_pick_tables,
        read_picks,
        to_arrow,
        write_sidecar,
        write_table,
    )
    from phasenet_das.tables.formats import (
        from_gamma,
        from_obspy_picks,
        from_pyocto,
        from_quakeflow,
        from_seisbench,
        gamma_stations,
        to_gamma,
        to_obspy_picks,
        to_pyocto,
        to_quakeflow,
        to_seisbench,
    )
    from phasenet_das.tables.ids import make_pick_ids
    from phasenet_das.tables.names import check_output, check_table_name

__all__ = [
    "CHANNEL_COLUMNS",
    "COVERAGE_COLUMNS",
    "EVENT_COLUMNS",
    "GROUP_COLUMNS",
    "PICK_COLUMNS",
    "PickWriter",
    "atomic_path",
    "check_output",
    "check_table_name",
    "conform",
    "empty_picks",
    "from_gamma",
    "from_obspy_picks",
    "from_pyocto",
    "from_quakeflow",
    "from_seisbench",
    "gamma_stations",
    "make_pick_ids",
    "read_catalog",
    "read_channels",
    "read_coverage",
    "read_events",
    "read_groups",
    "read_metadata",
    "read_pick_tables",
    "read_picks",
    "station_codes",
    "to_arrow",
    "to_gamma",
    "to_obspy_picks",
    "to_pyocto",
    "to_quakeflow",
    "to_seisbench",
    "with_event_phase",
    "write_channels",
    "write_sidecar",
    "write_table",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".channels": "read_channels write_channels",
        ".codes": "station_codes",
        ".columns": (
            "CHANNEL_COLUMNS COVERAGE_COLUMNS EVENT_COLUMNS GROUP_COLUMNS PICK_COLUMNS conform empty_picks "
            "with_event_phase"
        ),
        ".files": (
            "PickWriter atomic_path read_catalog read_coverage read_events "
            "read_groups read_metadata read_pick_tables read_picks to_arrow write_sidecar write_table"
        ),
        ".formats": (
            "from_gamma from_obspy_picks from_pyocto from_quakeflow from_seisbench gamma_stations "
            "to_gamma to_obspy_picks to_pyocto to_quakeflow to_seisbench"
        ),
        ".ids": "make_pick_ids",
        ".names": "check_output check_table_name",
    },
)
