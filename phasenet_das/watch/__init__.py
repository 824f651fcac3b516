"""Follow a growing archive: pick what comes, associate it, and hand the events over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.watch.feed import Spool, receive
    from phasenet_das.watch.handover import Handover
    from phasenet_das.watch.health import Health
    from phasenet_das.watch.revisions import read_revisions
    from phasenet_das.watch.watcher import Watcher

__all__ = ["Handover", "Health", "Spool", "Watcher", "read_revisions", "receive"]

__getattr__ = lazy_names(
    __name__,
    {
        ".feed": "Spool receive",
        ".handover": "Handover",
        ".health": "Health",
        ".revisions": "read_revisions",
        ".watcher": "Watcher",
    },
)
