"""Settings of the simulation that makes recordings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from phasenet_das.config.section import ConfigSection

_PATHS = (("cable", "channels_file"), ("noise", "real_noise_dir"))


class SimulateSettings(ConfigSection):
    """Simulated recordings, if there are no real ones."""

    scenario: str | None = Field(
        None,
        description="easy, demo, swarm, urban, borehole, offshore, glacier or hard. If empty, nothing is "
        "simulated.",
    )
    seed: int = Field(0, ge=0, description="Seed of all random numbers.")
    settings: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings that replace those of the scenario, such as {duration_s: 900}.",
    )

    def with_paths(self, move: Callable[[str], str], *, stated_only: bool) -> Self:
        """Return these settings with each relative path moved, also those of the simulator."""
        changed = dict(self.settings)
        for section, name in _PATHS:
            inner = changed.get(section)
            path = inner.get(name) if isinstance(inner, dict) else None
            if isinstance(path, str) and not Path(path).is_absolute():
                changed[section] = {**changed[section], name: move(path)}
        return super().with_paths(move, stated_only=stated_only).model_copy(update={"settings": changed})
