"""Follow a growing archive: pick what comes, associate it and write the catalog."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.watch.watcher import Watcher

__all__ = ["Watcher"]

__getattr__ = lazy_names(__name__, {".watcher": "Watcher"})
