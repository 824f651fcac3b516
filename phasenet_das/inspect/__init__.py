"""Look at picks on their record, correct them, and save them as labels."""

from phasenet_das.inspect.editor import PickEditor
from phasenet_das.inspect.inspector import PickInspector

__all__ = ["PickEditor", "PickInspector"]
