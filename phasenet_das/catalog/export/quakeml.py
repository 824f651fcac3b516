"""The catalog as QuakeML 1.2, through ObsPy."""

from __future__ import annotations

from pathlib import Path

from phasenet_das.catalog.export.common import PreparedCatalog
from phasenet_das.catalog.obspy_events import obspy_catalog
from phasenet_das.tables import atomic_path


def write_quakeml(catalog: PreparedCatalog, path: Path) -> Path:
    """Write QuakeML, checked against the schema; the metadata name the network and the version."""
    facts = catalog.metadata
    made = obspy_catalog(
        catalog,
        method_id=facts.get("weights_id"),
        creation_info={"agency_id": "phasenet-das", "version": str(facts.get("version", ""))}
        if facts
        else None,
    )
    with atomic_path(path) as temporary:
        made.write(str(temporary), format="QUAKEML", validate=True)
    return path
