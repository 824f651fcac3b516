"""From recordings to the pick table: conditioning, resampling, windows, peaks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from phasenet_das.picking.picker import Picker, load_picker
    from phasenet_das.picking.recordings import PickReport, Selection, pick_files, read_recording
    from phasenet_das.picking.watch import Watcher

__all__ = ["PickReport", "Picker", "Selection", "Watcher", "load_picker", "pick_files", "read_recording"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - torch is imported only when a picker is asked for
    if name in {"Picker", "load_picker"}:
        from phasenet_das.picking import picker

        return getattr(picker, name)
    if name in {"PickReport", "Selection", "pick_files", "read_recording"}:
        from phasenet_das.picking import recordings

        return getattr(recordings, name)
    if name == "Watcher":
        from phasenet_das.picking.watch import Watcher

        return Watcher
    raise AttributeError(f"module 'phasenet_das.picking' has no attribute '{name}'")
