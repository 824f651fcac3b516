"""Look at picks on their record, correct them, and save them as labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phasenet_das._lazy import lazy_names

if TYPE_CHECKING:
    from phasenet_das.inspect.editor import PickEditor
    from phasenet_das.inspect.inspector import PickInspector

__all__ = ["PickEditor", "PickInspector"]

__getattr__ = lazy_names(
    __name__,
    {
        "PickEditor": ".editor",
        "PickInspector": ".inspector",
    },
)
