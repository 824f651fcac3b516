"""From recordings to the pick table: conditioning, resampling, windows, peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.picking.picker import Picker, load_picker
    from phasenet_das.picking.recordings import PickReport, Selection, pick_files, read_recording
    from phasenet_das.picking.watch import Watcher

__all__ = ["PickReport", "Picker", "Selection", "Watcher", "load_picker", "pick_files", "read_recording"]

__getattr__ = lazy_names(
    __name__,
    {
        "PickReport": ".recordings",
        "Picker": ".picker",
        "Selection": ".recordings",
        "Watcher": ".watch",
        "load_picker": ".picker",
        "pick_files": ".recordings",
        "read_recording": ".recordings",
    },
)
