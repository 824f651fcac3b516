"""The earthquake catalog as seismologists hold it: tables, ObsPy objects, files for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.catalog.amplitudes import measure_amplitudes
    from phasenet_das.catalog.association import (
        associate,
        explain_rejected,
        write_association,
        write_catalog,
    )
    from phasenet_das.catalog.export.formats import (
        EXPORT_FORMATS,
        Exported,
        export_catalog,
        export_differential_times,
        export_stations,
    )
    from phasenet_das.catalog.export.hypoinverse import read_hypoinverse
    from phasenet_das.catalog.export.nonlinloc import read_nonlinloc
    from phasenet_das.catalog.export.thinning import thin_picks
    from phasenet_das.catalog.magnitude import calibrate_magnitude, estimate_magnitudes
    from phasenet_das.catalog.magnitude_scale import MagnitudeScale, named_scale, read_magnitude_scale
    from phasenet_das.catalog.obspy_events import to_obspy
    from phasenet_das.catalog.quality import FLAG_MEANINGS, describe_event, explain_flags

__all__ = [
    "EXPORT_FORMATS",
    "FLAG_MEANINGS",
    "Exported",
    "MagnitudeScale",
    "associate",
    "calibrate_magnitude",
    "describe_event",
    "estimate_magnitudes",
    "explain_flags",
    "explain_rejected",
    "export_catalog",
    "export_differential_times",
    "export_stations",
    "measure_amplitudes",
    "named_scale",
    "read_hypoinverse",
    "read_magnitude_scale",
    "read_nonlinloc",
    "thin_picks",
    "to_obspy",
    "write_association",
    "write_catalog",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".amplitudes": "measure_amplitudes",
        ".association": "associate explain_rejected write_association write_catalog",
        ".export.formats": "EXPORT_FORMATS Exported export_catalog export_differential_times export_stations",
        ".export.hypoinverse": "read_hypoinverse",
        ".export.nonlinloc": "read_nonlinloc",
        ".export.thinning": "thin_picks",
        ".magnitude": "calibrate_magnitude estimate_magnitudes",
        ".magnitude_scale": "MagnitudeScale named_scale read_magnitude_scale",
        ".obspy_events": "to_obspy",
        ".quality": "FLAG_MEANINGS describe_event explain_flags",
    },
)
