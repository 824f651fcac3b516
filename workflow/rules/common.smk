"""The validated settings, and where things lie."""

from pathlib import Path

from phasenet_das.config import load_config
from phasenet_das.io.inputs import find_recordings, recording_names

CONFIG = load_config(config)
ENVIRONMENT = str(Path(workflow.basedir) / "environment.yml")
RECORDINGS = recording_names(
    find_recordings(CONFIG.data.inputs, CONFIG.data.alternatives)
)


wildcard_constraints:
    recording=r"[A-Za-z0-9._-]+",


def results(*parts):
    """Path of a result of this run."""
    return str(Path(CONFIG.output, CONFIG.name, *parts))


def existing(path):
    """The path when it is a file that a rule can depend on, else nothing."""
    return [path] if path is not None and Path(path).is_file() else []
