"""Gaussian-mixture phase association for seismic networks and fibre-optic cables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gamma.associator import AssociationResult, associate
    from gamma.config import AssociationConfig

__all__ = ["AssociationConfig", "AssociationResult", "associate"]

# GMMA's package imports under the same name; this marker tells the two apart.
__project__ = "phasenet-das"

_HOMES = {
    "AssociationConfig": "gamma.config",
    "AssociationResult": "gamma.associator",
    "associate": "gamma.associator",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - lazy imports of anything public
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'gamma' has no attribute '{name}'")
