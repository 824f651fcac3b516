"""Every setting of a run, with its default, unit and meaning: one module a section."""

from phasenet_das.config.cables import CableSettings
from phasenet_das.config.config import Config
from phasenet_das.config.continuous import ContinuousSettings
from phasenet_das.config.data import DataSettings
from phasenet_das.config.evaluation import EvaluationSettings
from phasenet_das.config.feed import FeedSettings
from phasenet_das.config.files import load_config, write_config
from phasenet_das.config.geometry import GeometrySettings
from phasenet_das.config.health import HealthSettings
from phasenet_das.config.pick import PickSettings, TeacherSettings
from phasenet_das.config.report import ReportSettings
from phasenet_das.config.student import AugmentSettings, StudentSettings, TrainDataSettings, TrainSettings
from phasenet_das.config.watch import HandoverSettings, WatchSettings

__all__ = [
    "AugmentSettings",
    "CableSettings",
    "Config",
    "ContinuousSettings",
    "DataSettings",
    "EvaluationSettings",
    "FeedSettings",
    "GeometrySettings",
    "HandoverSettings",
    "HealthSettings",
    "PickSettings",
    "ReportSettings",
    "StudentSettings",
    "TeacherSettings",
    "TrainDataSettings",
    "TrainSettings",
    "WatchSettings",
    "load_config",
    "write_config",
]
