"""Gaussian-mixture phase association for seismic networks and fibre-optic cables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

# At once, not lazily: the function would else give way to its module as soon as that is imported.
from gamma.associate import AssociationResult, associate

if TYPE_CHECKING:
    from gamma.config import AssociationConfig, read_layers
    from gamma.quality import QUALITY_RULES

__all__ = ["QUALITY_RULES", "AssociationConfig", "AssociationResult", "associate", "read_layers"]

# GMMA's package imports under the same name; this marker tells the two apart.
__project__ = "phasenet-das"


def __getattr__(name: str) -> Any:  # noqa: ANN401 - lazy import
    if name in ("AssociationConfig", "read_layers"):
        from gamma import config

        return getattr(config, name)
    if name == "QUALITY_RULES":
        from gamma.quality import QUALITY_RULES

        return QUALITY_RULES
    raise AttributeError(f"module 'gamma' has no attribute '{name}'")
