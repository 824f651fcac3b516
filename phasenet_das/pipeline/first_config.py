"""A commented file of settings for a new cable, written after a first look at its recordings."""

from __future__ import annotations

import json
import logging
import math
import os
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import yaml

from gamma import AssociationConfig, read_layers
from gamma.errors import GammaError
from phasenet_das.config import load_config
from phasenet_das.config.section import NAME
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.io.files import PSEUDO_PATH, as_name, find_recordings
from phasenet_das.io.recording import Recording
from phasenet_das.pipeline.first_look import (
    UNKNOWN_GROUND,
    FirstLook,
    extent_km,
    look_at,
    pick_first_minute,
    span,
)
from phasenet_das.tables import atomic_path
from phasenet_das.tables.files import read_table

log = logging.getLogger(__name__)

Ask = Callable[[str], str]
Answer = TypeVar("Answer")

_WIDTH = 110
_DEPTH_KM = 20.0
_KILOHERTZ = 250.0  # Hz; above, a recording is meant for events nearby

_TEXT = """\
# Settings of {inputs}, written by 'phasenet-das init' after a look at its files.
# Every other setting and its default: configs/default.yaml. To list the jobs:
#   phasenet-das run {path} --dry-run
{found}
name: {name} # results go to results/{run}

{recordings}

pick:
  weights: phasenet-das # 'phasenet-das weights list' names others
  min_score: 0.3 # lower: more picks, more of them wrong
{pick}

association:
{association}

jobs: # one job for each range of time and cable
  length_s: {length_s:g}

rounds: 0 # 1: train a student on picks of the teacher that association keeps, and pick with the student

teacher: # read when a student is trained: a network that looks at one channel at a time
  weights: phasenet

student: # read when a student is trained
  weights: phasenet-das # fine-tune the bundled network; remove to begin from nothing
  processes: 1 # one for each GPU
  augment: {{ average_channels: 16, stretch_time: 2.0 }} # the rows and rates that picking shows it

report:
  title: {name}
"""


@dataclass(frozen=True)
class Site:
    """Facts of a site that no recording holds; None where they are not known."""

    channels: Path | None = None
    layers: Path | None = None
    vp_km_s: float | None = None
    vs_km_s: float | None = None
    max_distance_km: float | None = None
    min_p_picks: int | None = None
    min_s_picks: int | None = None

    def __post_init__(self) -> None:
        AssociationConfig().with_velocity(vp_km_s=self.vp_km_s, vs_km_s=self.vs_km_s, layers=self.layers)
        if self.vp_km_s is None and self.vs_km_s is not None:
            raise ConfigError(f"found vs {self.vs_km_s:g} km/s without vp. State both.")

    def ground(self) -> tuple[tuple[float, float], ...]:
        """Return vp and vs (km/s) of each layer that is stated, else those of the ground as it may be."""
        if self.layers is not None:
            return tuple((layer.vp_km_s, layer.vs_km_s) for layer in read_layers(self.layers))
        if self.vp_km_s is not None:
            return ((self.vp_km_s, self.vs_km_s or self.vp_km_s / 1.73),)
        return UNKNOWN_GROUND


def write_first_config(
    inputs: Sequence[str],
    path: str | Path,
    *,
    name: str | None = None,
    site: Site | None = None,
    picks: bool = True,
    ask: Ask | None = None,
    show: Callable[[str], object] = log.info,
    overwrite: bool = False,
) -> str:
    """Look at the recordings of a cable, and write a commented file of settings for it.

    `picks`: pick the first minute too. `ask`: takes a question and returns the answer, empty for the default.
    The findings are shown before the questions, and returned.
    """
    path, site = Path(path), site or Site()
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: exists already. Choose another name with -o, or say --overwrite.")
    look = look_at(inputs, site.channels)
    if picks and look.first is not None:
        look = _with_picks(look, look.first)
    inputs_of = _inputs_of_cables(look, inputs)
    found = _describe(look, divided=bool(inputs_of))
    show(found)
    if ask is not None:
        site = ask_for(site, look, ask)
        if site.channels is not None and site.channels != look.table_path:
            look = replace(look_at(inputs, site.channels), picks=look.picks, picks_problem=look.picks_problem)
    if inputs_of:
        cables = _looks_at_cables(inputs_of, site.channels)
        recordings = _cables_lines(cables, path)
        tables = [one.table for one, _ in cables.values() if one.table is not None]
        look = replace(look, table=pd.concat(tables, ignore_index=True) if tables else None)
    else:
        recordings = _cable_lines(look, inputs, path)
    run = as_name(name or _name_of(inputs[0]), "cable")
    text = _TEXT.format(
        inputs=_listed(inputs, path),
        path=shlex.quote(str(path)),
        found="\n".join(f"#   {line}" for line in found.splitlines()),
        name=_in_yaml(run),
        run=run,
        recordings="\n".join(recordings),
        pick="\n".join(_pick_lines(look)),
        association="\n".join(_association_lines(look, site, path)),
        length_s=_length_s(look.first),
    )
    text = re.sub(r"\n\n\n+", "\n\n", text)
    load_config(yaml.safe_load(text), folder=path.parent)
    with atomic_path(path) as temporary:
        temporary.write_text(text)
    return found


def ask_for(site: Site, look: FirstLook, ask: Ask) -> Site:
    """Ask for the facts that are neither stated nor found."""
    if site.channels is None and look.table is None:
        question = "Channel table (CSV: channel_index, longitude, latitude, elevation_m). Empty: no positions"
        site = replace(site, channels=_asked(ask, question, _existing))
    if site.layers is None and site.vp_km_s is None:
        question = (
            "Velocities: a CSV file of layers, or vp and vs in km/s such as '5.5 3.1'. Empty: estimated "
            "from the picks"
        )
        site = _asked(ask, question, lambda answer: _with_velocity(site, answer)) or site
    question = "Largest distance of events from the cable in km. Empty: from the S-P times"
    site = replace(site, max_distance_km=_asked(ask, question, _positive))
    question = "Fewest P and S picks of an event, such as '24 24'. Empty: derived from the cable"
    fewest = _asked(ask, question, _two_counts)
    return site if fewest is None else replace(site, min_p_picks=fewest[0], min_s_picks=fewest[1])


def _asked(ask: Ask, question: str, read: Callable[[str], Answer]) -> Answer | None:
    """Ask until the answer can be read; an empty answer is None."""
    said = question
    while answer := ask(said).strip():
        try:
            return read(answer)
        except (ValueError, PhaseNetDASError, GammaError) as error:
            said = f"{error}\n{question}"
    return None


def _existing(answer: str) -> Path:
    if not Path(answer).is_file():
        raise ConfigError(f"{answer}: no such file.")
    return Path(answer)


def _with_velocity(site: Site, answer: str) -> Site:
    if Path(answer).is_file():
        return replace(site, layers=Path(answer))
    try:
        vp, vs = map(float, answer.split())
    except ValueError:
        raise ConfigError(f"{answer}: found neither a file nor two velocities in km/s.") from None
    return replace(site, vp_km_s=vp, vs_km_s=vs)


def _positive(answer: str) -> float:
    if not 0 < float(answer) < math.inf:
        raise ConfigError(f"{answer}: expected a number above 0.")
    return float(answer)


def _two_counts(answer: str) -> tuple[int, int]:
    p, s = map(int, answer.split())
    return p, s


def _name_of(item: str) -> str:
    """Return the name of a file or folder, or of the folder that a glob pattern looks into."""
    path = Path(item)
    while re.search(r"[*?[]", str(path)) and not path.exists():
        path = path.parent
    return path.resolve().stem


def _seen_from(item: str | Path, settings: Path) -> str:
    """Return a path as the settings file names it."""
    if PSEUDO_PATH.match(str(item)) or Path(item).is_absolute():
        return str(item)
    return os.path.relpath(item, settings.parent)


def _listed(inputs: Sequence[str], path: Path) -> str:
    return ", ".join(json.dumps(_seen_from(item, path), ensure_ascii=False) for item in inputs)


def _cable_names(look: FirstLook) -> list[str]:
    return sorted({one.station_id for one in look.archive.recordings}) if look.archive else []


def _inputs_of_cables(look: FirstLook, inputs: Sequence[str]) -> dict[str, list[str]]:
    """Give the inputs of each of several cables; nothing where an input holds several, or none."""
    names = _cable_names(look)
    if look.archive is None or len(names) < 2:
        return {}
    cables_of: dict[str, set[str]] = {}
    for recording in look.archive.recordings:
        for path, _ in recording.inputs():
            cables_of.setdefault(path, set()).add(recording.station_id)
    inputs_of: dict[str, list[str]] = {}
    for item in inputs:
        found = {name for path in find_recordings([item]) for name in cables_of.get(path, ())}
        if len(found) != 1:
            return {}
        inputs_of.setdefault(_as_station(found.pop()), []).append(item)
    return inputs_of if len(inputs_of) == len(names) else {}


def _as_station(name: str) -> str:
    return name if re.fullmatch(NAME, name) else as_name(name)


def _looks_at_cables(
    inputs_of: dict[str, list[str]], channels: Path | None
) -> dict[str, tuple[FirstLook, list[str]]]:
    """Look at each cable by itself, with its own rows of the channel table; and give its inputs.

    A table of its own names a cable. A table that lies beside several and names none is nobody's.
    """
    looks = {name: look_at(items, channels) for name, items in inputs_of.items()}
    paths = [one.table_path for one in looks.values()]
    found = {}
    for name, one in looks.items():
        called, look = name, one
        if one.table is not None and one.table_path is not None and one.first is not None:
            named = "station_id" in read_table(one.table_path).columns
            if paths.count(one.table_path) > 1:
                own = one.table["station_id"].isin([name, one.first.station_id]) & named
                look = replace(one, table=one.table[own])
            elif named:
                called = _as_station(one.station_id or name)
        found[name if called in looks or called in found else called] = look, inputs_of[name]
    return found


def _cables_lines(cables: dict[str, tuple[FirstLook, list[str]]], path: Path) -> list[str]:
    lines = ["cables: # by their names in all tables"]
    for name, (look, inputs) in cables.items():
        own = _cable_lines(look, inputs, path, named=True)
        lines += [f"  {_in_yaml(name)}:", *(f"    {line}" for line in own)]
    return lines


def _cable_lines(look: FirstLook, inputs: Sequence[str], path: Path, *, named: bool = False) -> list[str]:
    """Write the sections `data` and `geometry` of a cable, which is `named` by a key above them."""
    data = _data_lines(look)
    if named:
        data = [line for line in data if not line.startswith("  station_id:")]
    return [
        "data:",
        f"  inputs: [{_listed(inputs, path)}]",
        *data,
        *([] if named else [""]),
        "geometry:",
        *_channel_lines(look, path),
    ]


def _with_picks(look: FirstLook, first: Recording) -> FirstLook:
    """Pick the first minute by the settings that the file will state."""
    stated = yaml.safe_load("\n".join(["pick:", *_pick_lines(look), "  min_score: 0.3"]))
    try:
        return replace(look, picks=pick_first_minute(first, load_config(stated).pick))
    except PhaseNetDASError as error:
        return replace(look, picks_problem=" ".join(str(error).split()))


def _describe(look: FirstLook, *, divided: bool) -> str:
    """Tell in lines what was found; `divided`: the settings give each cable a section of its own."""
    if look.archive is None or look.first is None:
        return f"The files cannot be used as they are: {look.problem}"
    first, spacing = look.first, _spacing(look.first)
    lines = [
        look.archive.summary(),
        *_about_cables(look, divided=divided),
        f"{first.num_channels} channels, {first.channel_index.min()} to {first.channel_index.max()}, "
        + ("of unknown spacing" if spacing is None else f"{spacing:g} m apart")
        + f", {1 / first.dt_s:g} Hz, unit {first.unit}",
    ]
    if look.picks is not None:
        lines.append(look.picks.summary())
    if look.picks_problem:
        lines.append(f"The first minute cannot be picked: {look.picks_problem}")
    return "\n".join(lines)


def _about_cables(look: FirstLook, *, divided: bool) -> list[str]:
    names = _cable_names(look)
    if len(names) < 2:
        return []
    if divided:
        return [f"{len(names)} cables: each has its inputs and its channel table in `cables` of the settings"]
    listed = ", ".join(names)
    return [
        f"The inputs do not part the cables {listed}: give each its own inputs in `cables` before the run"
    ]


def _spacing(recording: Recording) -> float | None:
    steps = np.abs(np.diff(recording.distance_m))
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(np.median(steps)), 3) if len(steps) else None


def _data_lines(look: FirstLook) -> list[str]:
    if look.archive is None or look.first is None:
        return [
            "  station_id: CABLE",
            "  # The files lack facts that are needed. STATE them:",
            '  # start_time: "2024-01-01T00:00:00"',
            "  # dt_s: 0.01",
            "  # dx_m: 10.0",
        ]
    first = look.first
    names = _cable_names(look)
    if len(names) > 1:
        lines = [f"  # The files are of several cables ({', '.join(names)}): give each its own in `cables`."]
    else:
        lines = [
            f'  station_id: "{_as_station(look.station_id or "CABLE")}" # name of the cable in all tables'
        ]
    if _spacing(first) is None:
        lines.append("  # dx_m: 10.0 # STATE the channel spacing: the files do not say")
    if first.unit == "unknown":
        lines.append("  # unit: strain rate # not in the files, needed for amplitudes only")
    return lines


def _in_yaml(text: str) -> str:
    """Quote a path or a name that YAML would read as something else, such as a date or one with `` #``."""
    plain = re.fullmatch(r"[A-Za-z0-9._/-]+", text) and yaml.safe_dump(text).startswith(text)
    return text if plain else json.dumps(text, ensure_ascii=False)


def _channel_lines(look: FirstLook, path: Path) -> list[str]:
    if look.table_path is None:
        return [
            "  # STATE where the channels are, else events get a distance but no position:",
            "  # path: channels.csv # channel_index, longitude, latitude, elevation_m",
            "  path: null",
        ]
    table = _in_yaml(_seen_from(look.table_path, path))
    if look.table is None:
        return [
            *_comment(f"The table cannot be used as it is: {look.table_problem} For example:"),
            f"  # path: {table}",
            "  # columns: {channel_index: Channel, x_m: X, y_m: Y, elevation_m: Z}",
            "  # crs: EPSG:32611 # of x_m and y_m",
            "  # skip_rows: 1 # below the header",
            "  path: null",
        ]
    if look.table.empty:
        return [
            *_comment("The table holds none of the recorded channels. STATE the table of this cable:"),
            f"  # path: {table} # channel_index, longitude, latitude, elevation_m",
            "  path: null",
        ]
    lines = [f"  path: {table} # channel_index, longitude, latitude, elevation_m"]
    length, width = extent_km(look.table)
    of = "" if look.first is None else f" of {look.first.num_channels} recorded"
    lines += _comment(
        f"{len(look.table)}{of} channels have a position and a good status, within {length:.2g} by "
        f"{width:.2g} km."
    )
    if width < 0.1 * length:
        lines += _comment("The cable is nearly straight: places on its two sides may fit the picks alike.")
    return lines


def _pick_lines(look: FirstLook) -> list[str]:
    if look.first is None:
        return []
    lines = []
    rate_hz, spacing = 1 / look.first.dt_s, _spacing(look.first)
    if look.picks is not None:
        lines += _comment(look.picks.summary())
    if rate_hz > _KILOHERTZ:
        lines.append("  # rate: native # for kilohertz recordings of events within a few kilometres")
    if spacing is not None and spacing <= 2:
        lines.append("  # average_channels: 4 # channels within the gauge length measure nearly the same")
    words = look.first.unit.lower()
    if "strain" in words and not any(sign in words for sign in ("rate", "/s", "/ s")):
        lines.append("  to_strain_rate: true # the files hold strain, networks need strain rate")
    return lines


def _association_lines(look: FirstLook, site: Site, path: Path) -> list[str]:
    """Velocities, what an event must have, and the box, each below the findings that bear on it."""
    lines = [*_velocity_lines(site, path), "", *_rule_lines(look, site), "", *_box_lines(look, site)]
    if look.first is not None and 1 / look.first.dt_s > _KILOHERTZ:
        lines.append(
            "  # pick_uncertainty_s: 0.005 # for kilohertz recordings of events within a few kilometres"
        )
    return lines


_UNCERTAINTY = "  # velocity_uncertainty: 0.05 # relative, carried into distances, depths and positions"
_LAYERS = "# depth_km,vp_km_s,vs_km_s: a row for each layer, top first"


def _velocity_lines(site: Site, path: Path) -> list[str]:
    if site.layers is not None:
        return [f"  layers: {_in_yaml(_seen_from(site.layers, path))} {_LAYERS}", _UNCERTAINTY]
    if site.vp_km_s is not None:
        stated = [f"  vp_km_s: {site.vp_km_s:g} # one velocity for the whole ground. `layers` are better"]
        stated += [] if site.vs_km_s is None else [f"  vs_km_s: {site.vs_km_s:g}"]
        return [*stated, _UNCERTAINTY]
    return [
        *_comment(
            "The velocities of the ground are not stated, so they are estimated from the picks: vp/vs from "
            "all events together, and vp as far as the moveout along the cable tells it. Distances, depths "
            "and positions carry that uncertainty. For example, if vp is known to 20 %, a distance of 20 km "
            "is known to 4 km. If you know the ground, STATE layers, or two velocities:"
        ),
        f"  # layers: layers.csv {_LAYERS}",
        "  # vp_km_s: 6.0",
        "  # vs_km_s: 3.5",
    ]


def _rule_lines(look: FirstLook, site: Site) -> list[str]:
    lines = _comment(
        "An event needs both phases, each on a share of the channels. One phase alone does not tell how far "
        "away an event is. The fewest picks follow from the cable and are printed. To choose them:"
    )
    if look.picks is not None and look.picks.num_p + look.picks.num_s:
        share = 100 * look.picks.num_both / look.picks.num_channels
        lines = [*_comment(f"First minute: {share:.0f} % of the channels have both phases."), *lines]
    tenth = 20 if look.first is None else max(5, round(look.first.num_channels / 10))
    for name, value in (("min_p_picks", site.min_p_picks), ("min_s_picks", site.min_s_picks)):
        lines.append(f"  # {name}: {tenth}" if value is None else f"  {name}: {value}")
    return lines


def _box_lines(look: FirstLook, site: Site) -> list[str]:
    top_km = 0.0
    if look.table is not None and len(look.table):
        top_km = max(0.0, math.ceil(look.table["elevation_m"].max() / 100) / 10)
    above = f", the cable reaches {top_km:g} km above it" if top_km else ""
    lines = [f"  depth_range_km: [{0.0 - top_km:g}, {_DEPTH_KM:g}] # below sea level{above}"]
    distance = None if look.picks is None else look.picks.distance_range_km(site.ground())
    lines += _distance_lines(look, site, distance)
    if site.max_distance_km is not None:
        return [*lines, f"  max_distance_km: {site.max_distance_km:g} # of events from the cable"]
    example = 60.0 if distance is None else 5 * math.ceil(1.2 * distance[1] / 5)
    return [
        *lines,
        f"  # max_distance_km: {example:g} # of events from the cable. Default: from the S-P times",
    ]


def _distance_lines(look: FirstLook, site: Site, distance: tuple[float, float] | None) -> list[str]:
    if look.picks is None:
        return []
    if look.picks.s_minus_p_range_s is None or distance is None:
        return _comment("First minute: no S-P time that many channels share, so no distance of an event.")
    ground = (
        f"ground of vp {UNKNOWN_GROUND[0][0]:g} to {UNKNOWN_GROUND[-1][0]:g} km/s"
        if site.ground() == UNKNOWN_GROUND
        else "this ground"
    )
    return _comment(
        f"First minute: S-P times of {span(*look.picks.s_minus_p_range_s)} s. In {ground}, these are events "
        f"{span(*distance)} km away."
    )


def _comment(text: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, initial_indent="  # ", subsequent_indent="  # ")


def _length_s(first: Recording | None) -> float:
    """Choose jobs of about a gigabyte, between a minute and an hour."""
    if first is None:
        return 3600.0
    room_s = 2.5e8 * first.dt_s / max(1, first.num_channels)
    return float(np.clip(60 * round(room_s / 60), 60, 3600))
