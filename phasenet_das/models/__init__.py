"""The networks and their named weights; nothing here opens a recording."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasenet_das.models.calibration import PickCalibration, ScoreCurve
    from phasenet_das.models.eqnet import EQNet
    from phasenet_das.models.phasenet import PhaseNet
    from phasenet_das.models.phasenet_das import PhaseNetDAS
    from phasenet_das.models.zoo import (
        Weights,
        build_model,
        list_weights,
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


def __getattr__(name: str) -> Any:  # noqa: ANN401 - torch is imported only when a network is asked for
    if name == "PhaseNet":
        from phasenet_das.models.phasenet import PhaseNet

        return PhaseNet
    if name == "PhaseNetDAS":
        from phasenet_das.models.phasenet_das import PhaseNetDAS

        return PhaseNetDAS
    if name == "EQNet":
        from phasenet_das.models.eqnet import EQNet

        return EQNet
    if name in ("PickCalibration", "ScoreCurve"):
        from phasenet_das.models import calibration

        return getattr(calibration, name)
    if name in __all__:
        from phasenet_das.models import zoo

        return getattr(zoo, name)
    raise AttributeError(f"module 'phasenet_das.models' has no attribute '{name}'")
