"""Settings of one cable of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasenet_das.config.data import DataSettings
from phasenet_das.config.geometry import GeometrySettings
from phasenet_das.config.section import ConfigSection


class CableSettings(ConfigSection):
    """One cable of several."""

    renamed: ClassVar[Mapping[str, str]] = {"channels": "'geometry'"}

    data: DataSettings = DataSettings()
    geometry: GeometrySettings = GeometrySettings()
