"""From recordings to the pick table: chunks, preprocessing, networks, peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.picking.archive import PickReport, RunOptions, pick_archive
    from phasenet_das.picking.picker import Picker, load_picker
    from phasenet_das.picking.request import check_request

__all__ = ["PickReport", "Picker", "RunOptions", "check_request", "load_picker", "pick_archive"]

__getattr__ = lazy_names(
    __name__,
    {
        ".archive": "PickReport RunOptions pick_archive",
        ".picker": "Picker load_picker",
        ".request": "check_request",
    },
)
