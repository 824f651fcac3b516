"""A commented file of settings for a new cable, written after looking at its recordings."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from phasenet_das.config import DataSettings, load_config
from phasenet_das.errors import ConfigError, PhaseNetDASError
from phasenet_das.io.archive import Archive, open_archive
from phasenet_das.io.files import find_recordings
from phasenet_das.io.recording import Recording
from phasenet_das.tables import atomic_path

_TABLES = ("channels*.csv", "*das_info*.csv", "*geometry*.csv", "*coords*.csv")

_TEXT = """\
# Settings of the cable in {inputs}, written by 'phasenet-das init' after a look at its files.
# Every other setting and its default: configs/default.yaml. What would be done:
#   snakemake --cores 2 --configfile {path} --dry-run
{found}
name: {name} # results go to results/{name}

data:
  inputs: [{inputs}]
{data}

geometry:
{geometry}

pick:
  weights: phasenet-das # 'phasenet-das weights list' names others
  min_score: 0.3 # lower: more picks, more of them wrong
{pick}

association:
  vp_km_s: 6.0 # STATE the velocities of the site, or 'layers'
  vp_vs_ratio: 1.73
  depth_range_km: [0.0, 20.0]
  # max_distance_km: 60.0 # how far outside the cable events are sought

jobs: # one job for each range of time and cable
  length_s: {length_s:g}

rounds: 0 # 1: train a student on picks of the teacher that association keeps, and pick with the student

teacher: # read when a student is trained: a network that looks at one channel at a time
  weights: phasenet

student: # read when a student is trained
  weights: phasenet-das # fine-tune the bundled network; remove to begin from nothing
  processes: 1 # one for each GPU
  augment: {{ average_channels: 16, stretch_time: 2.0 }} # the rows and rates that picking shows it
  steps: 2000
  learning_rate: 3.0e-4

report:
  title: {name}
"""


def write_first_config(
    inputs: Sequence[str], path: str | Path, *, name: str | None = None, overwrite: bool = False
) -> str:
    """Look at the recordings of a cable, and write a commented file of settings for it."""
    path = Path(path)
    if path.exists() and not overwrite:
        raise ConfigError(f"{path}: exists already. Choose another name with -o, or say --overwrite.")
    find_recordings(inputs)
    archive, problem = None, ""
    try:
        archive = open_archive(inputs, DataSettings())
    except PhaseNetDASError as error:
        problem = " ".join(str(error).split())
    first = archive.recordings[0] if archive is not None and archive.recordings else None
    run = re.sub(r"[^A-Za-z0-9._-]+", "-", name or Path(inputs[0]).resolve().stem) or "cable"
    found = (
        f"The files cannot be used as they are: {problem}"
        if archive is None or first is None
        else f"{archive.summary()}\n{_describe(first)}"
    )
    text = _TEXT.format(
        inputs=", ".join(f'"{_seen_from(item, path)}"' for item in inputs),
        path=path,
        found="\n".join(f"#   {line}" for line in found.splitlines()),
        name=run,
        data="\n".join(_data_lines(archive)),
        geometry="\n".join(_channel_lines(inputs, path)),
        pick="\n".join(_pick_lines(first)),
        length_s=_length_s(first),
    )
    with atomic_path(path) as temporary:
        temporary.write_text(re.sub(r"\n\n\n+", "\n\n", text.replace("\n\n\n", "\n\n")))
    load_config(path)
    return found


def _seen_from(item: str | Path, settings: Path) -> str:
    """Return a path as the settings file names it."""
    return str(item) if Path(item).is_absolute() else os.path.relpath(item, settings.parent)


def _describe(first: Recording) -> str:
    spacing = _spacing(first)
    return (
        f"{first.num_channels} channels, {first.channel_index.min()} to {first.channel_index.max()}, "
        + ("of unknown spacing" if spacing is None else f"{spacing:g} m apart")
        + f"; {1 / first.dt_s:g} Hz; unit {first.unit}"
    )


def _spacing(recording: Recording) -> float | None:
    steps = np.abs(np.diff(recording.distance_m))
    steps = steps[np.isfinite(steps) & (steps > 0)]
    return round(float(np.median(steps)), 3) if len(steps) else None


def _data_lines(archive: Archive | None) -> list[str]:
    if archive is None or not archive.recordings:
        return [
            "  station_id: CABLE",
            "  # The files do not say all that must be known; STATE what is missing:",
            '  # start_time: "2024-01-01T00:00:00"',
            "  # dt_s: 0.01",
            "  # dx_m: 10.0",
        ]
    first = archive.recordings[0]
    names = sorted({recording.station_id for recording in archive.recordings})
    lines = [f"  station_id: {names[0] or 'CABLE'} # name of the cable in all tables"]
    if len(names) > 1:
        lines.append(
            f"  # The files are of several cables ({', '.join(names)}): give each its own in `cables`."
        )
    if _spacing(first) is None:
        lines.append("  # dx_m: 10.0 # STATE the channel spacing: the files do not say")
    if first.unit == "unknown":
        lines.append("  # unit: strain rate # the files do not say; needed for amplitudes only")
    return lines


def _channel_lines(inputs: Sequence[str], path: Path) -> list[str]:
    for item in inputs:
        folder = Path(item) if Path(item).is_dir() else Path(item).parent
        for place in (folder, folder.parent):
            for pattern in _TABLES:
                tables = sorted(place.glob(pattern))
                if tables:
                    table = _seen_from(tables[0], path)
                    return [f"  path: {table} # channel_index, longitude, latitude, elevation_m"]
    return [
        "  # STATE where the channels are, else events get a distance but no position:",
        "  # path: channels.csv # channel_index, longitude, latitude, elevation_m",
        "  path: null",
    ]


def _pick_lines(first: Recording | None) -> list[str]:
    if first is None:
        return []
    lines = []
    rate_hz, spacing = 1 / first.dt_s, _spacing(first)
    if rate_hz > 250:
        lines.append("  # rate: native # for kilohertz recordings of events within a few kilometres")
    if spacing is not None and spacing <= 2:
        lines.append("  # average_channels: 4 # channels within the gauge length measure nearly the same")
    words = first.unit.lower()
    if "strain" in words and not any(sign in words for sign in ("rate", "/s", "/ s")):
        lines.append("  to_strain_rate: true # the files hold strain; networks know strain rate")
    return lines


def _length_s(first: Recording | None) -> float:
    """Choose jobs of about a gigabyte, between a minute and an hour."""
    if first is None:
        return 3600.0
    room_s = 2.5e8 * first.dt_s / max(1, first.num_channels)
    return float(np.clip(60 * round(room_s / 60), 60, 3600))
