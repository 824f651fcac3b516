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
        PICK_COLUMNS,
        conform,
        empty_picks,
    )
    from phasenet_das.tables.files import (
        PickWriter,
        atomic_path,
        check_table_name,
        read_catalog,
        read_coverage,
        read_events,
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

__all__ = [
    "CHANNEL_COLUMNS",
    "COVERAGE_COLUMNS",
    "EVENT_COLUMNS",
    "PICK_COLUMNS",
    "PickWriter",
    "atomic_path",
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
    "write_channels",
    "write_sidecar",
    "write_table",
]

__getattr__ = lazy_names(
    __name__,
    {
        "CHANNEL_COLUMNS": ".columns",
        "COVERAGE_COLUMNS": ".columns",
        "EVENT_COLUMNS": ".columns",
        "PICK_COLUMNS": ".columns",
        "PickWriter": ".files",
        "atomic_path": ".files",
        "check_table_name": ".files",
        "conform": ".columns",
        "empty_picks": ".columns",
        "from_gamma": ".formats",
        "from_obspy_picks": ".formats",
        "from_pyocto": ".formats",
        "from_quakeflow": ".formats",
        "from_seisbench": ".formats",
        "gamma_stations": ".formats",
        "make_pick_ids": ".ids",
        "read_catalog": ".files",
        "read_channels": ".channels",
        "read_coverage": ".files",
        "read_events": ".files",
        "read_metadata": ".files",
        "read_pick_tables": ".files",
        "read_picks": ".files",
        "station_codes": ".codes",
        "to_arrow": ".files",
        "to_gamma": ".formats",
        "to_obspy_picks": ".formats",
        "to_pyocto": ".formats",
        "to_quakeflow": ".formats",
        "to_seisbench": ".formats",
        "write_channels": ".channels",
        "write_sidecar": ".files",
        "write_table": ".files",
    },
)
