"""Continuous DAS recordings whose every arrival is known."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasenet_das.simulate.config import SimulationConfig
    from phasenet_das.simulate.record_sections import RecordSectionConfig, Section, from_records
    from phasenet_das.simulate.records import Record, load_records
    from phasenet_das.simulate.scenarios import SCENARIOS, scenario
    from phasenet_das.simulate.stream import Recording
    from phasenet_das.simulate.truth import measure_snr_db
    from phasenet_das.simulate.write import SimulationResult, simulate

__all__ = [
    "SCENARIOS",
    "Record",
    "RecordSectionConfig",
    "Recording",
    "Section",
    "SimulationConfig",
    "SimulationResult",
    "from_records",
    "load_records",
    "measure_snr_db",
    "scenario",
    "simulate",
]

_HOMES = {
    "SCENARIOS": "scenarios",
    "Record": "records",
    "RecordSectionConfig": "record_sections",
    "Recording": "stream",
    "Section": "record_sections",
    "from_records": "record_sections",
    "load_records": "records",
    "SimulationConfig": "config",
    "SimulationResult": "write",
    "measure_snr_db": "truth",
    "scenario": "scenarios",
    "simulate": "write",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - any public object
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
