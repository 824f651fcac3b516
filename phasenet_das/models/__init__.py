"""The networks and their named weights; nothing here opens a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.models.calibration import PickCalibration, ScoreCurve
    from phasenet_das.models.eqnet import EQNet
    from phasenet_das.models.names import list_weights
    from phasenet_das.models.phasenet import PhaseNet
    from phasenet_das.models.phasenet_das import PhaseNetDAS
    from phasenet_das.models.weights import (
        Weights,
        build_model,
        load_weights,
        save_weights,
        set_calibration,
    )

__all__ = [
    "EQNet",
    "PhaseNet",
    "PhaseNetDAS",
    "PickCalibration",
    "ScoreCurve",
    "Weights",
    "build_model",
    "list_weights",
    "load_weights",
    "save_weights",
    "set_calibration",
]

__getattr__ = lazy_names(
    __name__,
    {
        ".calibration": "PickCalibration ScoreCurve",
        ".eqnet": "EQNet",
        ".names": "list_weights",
        ".phasenet": "PhaseNet",
        ".phasenet_das": "PhaseNetDAS",
        ".weights": "Weights build_model load_weights save_weights set_calibration",
    },
)
