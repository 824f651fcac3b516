"""Tables of picks, events, channels and coverage: their columns, files and identifiers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
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
        read_channels,
        read_coverage,
        read_events,
        read_metadata,
        read_pick_tables,
        read_picks,
        to_arrow,
        write_channels,
        write_sidecar,
        write_table,
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
    "make_pick_ids",
    "read_channels",
    "read_coverage",
    "read_events",
    "read_metadata",
    "read_pick_tables",
    "read_picks",
    "to_arrow",
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
        "make_pick_ids": ".ids",
        "read_channels": ".files",
        "read_coverage": ".files",
        "read_events": ".files",
        "read_metadata": ".files",
        "read_pick_tables": ".files",
        "read_picks": ".files",
        "to_arrow": ".files",
        "write_channels": ".files",
        "write_sidecar": ".files",
        "write_table": ".files",
    },
)
