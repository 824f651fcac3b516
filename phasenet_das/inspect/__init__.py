"""Look at picks on their record, correct them, and save them as labels."""

from phasenet_das.inspect.editor import PickEditor
from phasenet_das.inspect.inspection import Inspection
from phasenet_das.inspect.inspector import PickInspector
from phasenet_das.inspect.shapes import Area, Moveout

__all__ = ["Area", "Inspection", "Moveout", "PickEditor", "PickInspector"]
