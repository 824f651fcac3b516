"""Seismic arrivals and earthquake catalogs from distributed acoustic sensing (DAS)."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING

from phasenet_das import _lazy

# Before torch is loaded: its threads that wait leave the core to the one that reads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

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


def _check_gamma() -> None:
    """Make sure that ``gamma`` is the associator that comes with this package."""
    gamma = importlib.import_module("gamma")
    if getattr(gamma, "__project__", None) != "phasenet-das":
        raise ImportError(
            f"the package 'gamma' in {getattr(gamma, '__file__', '?')} is not the associator that comes with "
            "phasenet-das (GMMA installs under the same name). Repair it with:\n"
            "    pip uninstall -y GMMA gamma\n    pip install --force-reinstall --no-deps phasenet-das"
        )


_check_gamma()


__getattr__ = _lazy.lazy_names(
    __name__,
    {
        ".catalog": "associate catalog write_catalog",
        ".config": "Config PickSettings load_config",
        ".evaluate": "evaluate",
        ".inspect": "inspect",
        ".io": "describe io open_archive read",
        ".models": "Weights list_weights load_weights",
        ".picking": "Picker load_picker",
        ".plot": "plot",
        ".report": "write_report",
        ".simulate": "simulate",
        ".tables": "read_channels read_events read_picks write_table",
        ".training": "training",
    },
)


def __dir__() -> list[str]:
    return __all__
