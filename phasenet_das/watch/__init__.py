"""Follow a growing archive: pick what comes, associate it, and hand the events over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.watch.handover import Handover
    from phasenet_das.watch.revisions import read_revisions
    from phasenet_das.watch.watcher import Watcher

__all__ = ["Handover", "Watcher", "read_revisions"]

__getattr__ = lazy_names(
    __name__, {".handover": "Handover", ".revisions": "read_revisions", ".watcher": "Watcher"}
)
