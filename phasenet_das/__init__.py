"""Seismic arrivals and earthquake catalogs from distributed acoustic sensing (DAS)."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasenet_das import catalog, evaluate, inspect, io, plot, simulate, training
    from phasenet_das.catalog import associate, write_catalog
    from phasenet_das.config import Config, PickSettings, load_config
    from phasenet_das.io import describe, open_archive, read
    from phasenet_das.models import Weights, list_weights, load_weights
    from phasenet_das.picking import Picker, load_picker
    from phasenet_das.report import write_report
    from phasenet_das.tables import read_channels, read_events, read_picks, write_table

__all__ = [
    "Config",
    "PickSettings",
    "Picker",
    "Weights",
    "associate",
    "catalog",
    "describe",
    "evaluate",
    "inspect",
    "io",
    "list_weights",
    "load_config",
    "load_picker",
    "load_weights",
    "open_archive",
    "plot",
    "read",
    "read_channels",
    "read_events",
    "read_picks",
    "simulate",
    "training",
    "write_catalog",
    "write_report",
    "write_table",
]

_HOME = {
    "Config": "config",
    "PickSettings": "config",
    "load_config": "config",
    "associate": "catalog",
    "write_catalog": "catalog",
    "describe": "io",
    "open_archive": "io",
    "read": "io",
    "Weights": "models",
    "list_weights": "models",
    "load_weights": "models",
    "Picker": "picking",
    "load_picker": "picking",
    "write_report": "report",
    "read_channels": "tables",
    "read_events": "tables",
    "read_picks": "tables",
    "write_table": "tables",
}
_MODULES = {"catalog", "evaluate", "inspect", "io", "plot", "simulate", "training"}


def _check_gamma() -> None:
    """Make sure that ``gamma`` is the associator that comes with this package."""
    gamma = importlib.import_module("gamma")
    if getattr(gamma, "__project__", None) != "phasenet-das":
        raise ImportError(
            f"the package 'gamma' in {getattr(gamma, '__file__', '?')} is not the associator that comes with "
            "phasenet-das (GMMA installs under the same name). Mend it with:\n"
            "    pip uninstall -y GMMA gamma\n    pip install --force-reinstall --no-deps phasenet-das"
        )


_check_gamma()


def __getattr__(name: str) -> Any:  # noqa: ANN401 - heavy modules are imported when first used
    if name in _HOME:
        return getattr(importlib.import_module(f"phasenet_das.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"phasenet_das.{name}")
    raise AttributeError(f"module 'phasenet_das' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
