"""Continuous DAS recordings whose every arrival is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.simulate.config import SimulationConfig
    from phasenet_das.simulate.record_sections import RecordSectionConfig, SyntheticSection, from_records
    from phasenet_das.simulate.records import Record, load_records
    from phasenet_das.simulate.scenarios import SCENARIOS, scenario
    from phasenet_das.simulate.simulation import Simulation
    from phasenet_das.simulate.truth import measure_snr_db
    from phasenet_das.simulate.write import SimulationResult, simulate

__all__ = [
    "SCENARIOS",
    "Record",
    "RecordSectionConfig",
    "Simulation",
    "SimulationConfig",
    "SimulationResult",
    "SyntheticSection",
    "from_records",
    "load_records",
    "measure_snr_db",
    "scenario",
    "simulate",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".config": "SimulationConfig",
        ".record_sections": "RecordSectionConfig SyntheticSection from_records",
        ".records": "Record load_records",
        ".scenarios": "SCENARIOS scenario",
        ".simulation": "Simulation",
        ".truth": "measure_snr_db",
        ".write": "SimulationResult simulate",
    },
)
