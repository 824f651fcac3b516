"""The earthquake catalog as seismologists hold it: tables, ObsPy objects, files for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.catalog.association import (
        associate_picks,
        explain_rejected,
        write_association,
        write_catalog,
    )
    from phasenet_das.catalog.catalog_csv import write_catalog_csv
    from phasenet_das.catalog.codes import station_codes
    from phasenet_das.catalog.export import (
        EXPORT_FORMATS,
        Exported,
        export_catalog,
        export_differential_times,
        export_stations,
    )
    from phasenet_das.catalog.geojson import write_geojson
    from phasenet_das.catalog.hypodd import write_hypodd, write_hypodd_dtcc, write_hypodd_stations
    from phasenet_das.catalog.hypoinverse import (
        read_hypoinverse,
        write_hypoinverse,
        write_hypoinverse_stations,
    )
    from phasenet_das.catalog.magnitude import (
        MagnitudeScale,
        calibrate_magnitude,
        estimate_magnitudes,
        read_magnitude_scale,
    )
    from phasenet_das.catalog.nonlinloc import read_nonlinloc, write_nonlinloc, write_nonlinloc_stations
    from phasenet_das.catalog.nordic import write_nordic
    from phasenet_das.catalog.obspy_events import to_obspy, write_quakeml
    from phasenet_das.catalog.quality import FLAG_MEANINGS, describe_event, explain_flags
    from phasenet_das.catalog.thinning import thin_picks
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

__all__ = [
    "EXPORT_FORMATS",
    "FLAG_MEANINGS",
    "Exported",
    "MagnitudeScale",
    "associate_picks",
    "calibrate_magnitude",
    "describe_event",
    "estimate_magnitudes",
    "explain_flags",
    "explain_rejected",
    "export_catalog",
    "export_differential_times",
    "export_stations",
    "from_gamma",
    "from_obspy_picks",
    "from_pyocto",
    "from_quakeflow",
    "from_seisbench",
    "gamma_stations",
    "read_hypoinverse",
    "read_magnitude_scale",
    "read_nonlinloc",
    "station_codes",
    "thin_picks",
    "to_gamma",
    "to_obspy",
    "to_obspy_picks",
    "to_pyocto",
    "to_quakeflow",
    "to_seisbench",
    "write_association",
    "write_catalog",
    "write_catalog_csv",
    "write_geojson",
    "write_hypodd",
    "write_hypodd_dtcc",
    "write_hypodd_stations",
    "write_hypoinverse",
    "write_hypoinverse_stations",
    "write_nonlinloc",
    "write_nonlinloc_stations",
    "write_nordic",
    "write_quakeml",
]

__getattr__ = lazy_names(
    __name__,
    {
        "EXPORT_FORMATS": ".export",
        "Exported": ".export",
        "FLAG_MEANINGS": ".quality",
        "MagnitudeScale": ".magnitude",
        "associate_picks": ".association",
        "calibrate_magnitude": ".magnitude",
        "describe_event": ".quality",
        "estimate_magnitudes": ".magnitude",
        "explain_flags": ".quality",
        "explain_rejected": ".association",
        "export_catalog": ".export",
        "export_differential_times": ".export",
        "export_stations": ".export",
        "from_gamma": "phasenet_das.tables.formats",
        "from_obspy_picks": "phasenet_das.tables.formats",
        "from_pyocto": "phasenet_das.tables.formats",
        "from_quakeflow": "phasenet_das.tables.formats",
        "from_seisbench": "phasenet_das.tables.formats",
        "gamma_stations": "phasenet_das.tables.formats",
        "read_hypoinverse": ".hypoinverse",
        "read_magnitude_scale": ".magnitude",
        "read_nonlinloc": ".nonlinloc",
        "station_codes": ".codes",
        "thin_picks": ".thinning",
        "to_gamma": "phasenet_das.tables.formats",
        "to_obspy": ".obspy_events",
        "to_obspy_picks": "phasenet_das.tables.formats",
        "to_pyocto": "phasenet_das.tables.formats",
        "to_quakeflow": "phasenet_das.tables.formats",
        "to_seisbench": "phasenet_das.tables.formats",
        "write_association": ".association",
        "write_catalog": ".association",
        "write_catalog_csv": ".catalog_csv",
        "write_geojson": ".geojson",
        "write_hypodd": ".hypodd",
        "write_hypodd_dtcc": ".hypodd",
        "write_hypodd_stations": ".hypodd",
        "write_hypoinverse": ".hypoinverse",
        "write_hypoinverse_stations": ".hypoinverse",
        "write_nonlinloc": ".nonlinloc",
        "write_nonlinloc_stations": ".nonlinloc",
        "write_nordic": ".nordic",
        "write_quakeml": ".obspy_events",
    },
)
