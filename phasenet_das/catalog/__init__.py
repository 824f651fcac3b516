"""The earthquake catalog as seismologists hold it: tables, ObsPy objects and QuakeML."""

from phasenet_das.catalog.build import associate_picks, write_association, write_catalog
from phasenet_das.catalog.catalog_csv import write_catalog_csv
from phasenet_das.catalog.codes import station_codes
from phasenet_das.catalog.obspy_events import to_obspy, write_quakeml
from phasenet_das.catalog.quality import FLAG_MEANINGS, describe_event, explain_flags
from phasenet_das.catalog.thinning import thin_picks

__all__ = [
    "FLAG_MEANINGS",
    "associate_picks",
    "describe_event",
    "explain_flags",
    "station_codes",
    "thin_picks",
    "to_obspy",
    "write_association",
    "write_catalog",
    "write_catalog_csv",
    "write_quakeml",
]
