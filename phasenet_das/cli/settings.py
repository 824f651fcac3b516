"""The settings of a command: those of a file, overridden by flags; the same for all commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from gamma.errors import nearest_name
from phasenet_das.config import CableSettings, Config, DataSettings, load_config
from phasenet_das.config.section import ConfigSection
from phasenet_das.errors import ConfigError, TableError

if TYPE_CHECKING:
    import pandas as pd

Section = TypeVar("Section", bound=ConfigSection)


def read_settings(path: Path | None) -> Config:
    """Read a file of settings, or take the defaults."""
    return Config() if path is None else load_config(path)


def override(base: Section, **flags: Any) -> Section:  # noqa: ANN401 - values of any setting
    """Put the flags that were given over the settings of a section, and check them again."""
    stated = {name: getattr(base, name) for name in base.model_fields_set}
    given = {name: value for name, value in flags.items() if value is not None}
    return type(base)(**{**stated, **given})


def chosen_cable(config: Config, name: str | None) -> CableSettings:
    """Return the settings of the one cable that a command works on."""
    cables = config.cable_settings()
    if name is None and config.cables:
        raise ConfigError(f"the settings have several cables: choose one with --cable: {', '.join(cables)}.")
    if name is not None and name not in cables:
        raise ConfigError(f"--cable {name}: no such cable in the settings.{nearest_name(name, cables)}")
    return next(iter(cables.values())) if name is None else cables[name]


def stated_facts(data: DataSettings) -> dict[str, Any]:
    """Return what the settings say about recordings, as arguments of `io.read`."""
    from phasenet_das.io.metadata import UserMetadata

    return vars(UserMetadata.of(data))


def training_data(config: Config, name: str | None) -> DataSettings:
    """Return the settings of the recordings that the student is trained on: its own, else the cable's."""
    from phasenet_das.pipeline.jobs import TRAINING, recordings_of

    data = chosen_cable(config, name).data
    return recordings_of(config, TRAINING).get(name or next(iter(config.cable_settings())), data)


def chosen_inputs(inputs: list[str] | None, data: DataSettings) -> list[str]:
    """Return the recordings that a command names, else those of the settings."""
    if inputs:
        return list(inputs)
    from phasenet_das.io.files import find_recordings

    if not data.inputs:
        raise ConfigError("no recordings: name files or folders, or data.inputs in a file of --config.")
    return find_recordings(data.inputs, data.fallback_inputs)


def chosen_tables(config: Config, channels: Path | None, cable: str | None) -> list[CableSettings]:
    """Return the cables whose channel tables a command uses: all, one, or the table named by a flag.

    The table of a flag is read with the columns, projection and rows to skip of the settings.
    """
    cables = config.cable_settings()
    chosen = list(cables.values()) if cable is None else [chosen_cable(config, cable)]
    if channels is None:
        return chosen
    own = {"path": str(channels), "optional": False}
    first, *others = (one.geometry.model_copy(update=own) for one in chosen)
    if any(other != first for other in others):
        raise ConfigError(
            f"--channels {channels}: the cables of the settings read their tables in different ways. Choose "
            f"one with --cable: {', '.join(cables)}."
        )
    data = chosen[0].data if len(chosen) == 1 else DataSettings()
    return [CableSettings(data=data, geometry=first)]


def load_receivers(
    config: Config,
    *,
    channels: Path | None = None,
    cable: str | None = None,
    station_id: str | None = None,
    picks: pd.DataFrame | None = None,
    stations: Path | None = None,
) -> pd.DataFrame | None:
    """Load the chosen channel tables and the seismometers; None where nothing has a position."""
    import pandas as pd

    from phasenet_das.tables.channels import load_channels, only_station, read_stations

    cables, tables = chosen_tables(config, channels, cable), []
    for one in cables:
        name = one.data.station_id
        if len(cables) == 1:
            fibre = None if picks is None else only_station(picks[picks["channel_index"] >= 0])
            name = station_id or fibre or name
        tables.append(load_channels(one.geometry, name))
    seismometers = stations or config.stations.path
    tables.append(None if seismometers is None else read_stations(seismometers))
    placed = [table for table in tables if table is not None]
    return pd.concat(placed, ignore_index=True) if placed else None


def listed_tables(path: Path) -> list[Path]:
    """Return the tables that a text file lists: those of a year do not fit into one command."""
    if path.suffix != ".txt":
        return [path]
    if not path.is_file():
        raise TableError(f"{path}: no such file, expected a list of pick tables, one a line.")
    try:
        lines = path.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise TableError(f"{path}: not a text file, expected a list of pick tables, one a line.") from error
    return [Path(line) for line in lines if line.strip()]
