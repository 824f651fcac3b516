"""The report of a run of the workflow: from the files of its results folder to one HTML page."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.config import Config
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.io.archive import open_archive
from phasenet_das.io.files import find_recordings
from phasenet_das.io.recording import Recording
from phasenet_das.picking.filters import bandpass
from phasenet_das.picking.preprocess import fill_gaps
from phasenet_das.report.page import write_report
from phasenet_das.report.run_chapters import Training
from phasenet_das.report.trust_chapters import MARGIN_S, largest_groups
from phasenet_das.tables import (
    read_channels,
    read_coverage,
    read_events,
    read_groups,
    read_metadata,
    read_picks,
)
from phasenet_das.tables.files import read_csv
from phasenet_das.text import duration, records
from phasenet_das.training.summary import SUMMARY, TrainingSummary

if TYPE_CHECKING:
    from dascore import Patch

_BEFORE_S, _AFTER_S = 5.0, 10.0
_WITHOUT_EVENT_S = 60.0


def write_run_report(config: Config, folder: str | Path, path: str | Path) -> Path:
    """Write the report of a run from the files in its results folder.

    Parameters
    ----------
    config : Config
        Settings of the run.
    folder : str or pathlib.Path
        Results folder, with ``events.parquet``, ``picks.parquet``, ``coverage.csv``, the index, and the
        files of trainings and of the evaluation if there were any.

    Raises
    ------
    TableError
        A table is missing or damaged.
    """
    folder = Path(folder)
    events, picks = read_events(folder / "events.parquet"), read_picks(folder / "picks.parquet")
    receivers = read_channels(folder / "index" / "receivers.parquet")
    placed = receivers["longitude"].notna()
    record_sections = _RecordSections(config, folder)
    association, groups = read_association(folder)
    return write_report(
        path,
        events=events,
        picks=picks,
        channels=receivers[placed].reset_index(drop=True) if placed.any() else None,
        coverage=read_coverage(folder / "coverage.csv"),
        groups=groups,
        association=association,
        event_records=record_sections.of_events(events, picks),
        sections=record_sections.of_the_start() if events.empty else [],
        group_records={} if groups is None else dict(record_sections.of_groups(groups)),
        trainings=list(_trainings(folder, config.rounds)),
        evaluation=read_json(folder / "evaluation.json"),
        measures=read_json(folder / "measures.json"),
        settings=config.model_dump(mode="json"),
        provenance=read_metadata(folder / "events.parquet"),
        left_out=chain(unused_in_association(folder), _missing_tables(config), record_sections.not_opened),
        facts=[*_run_time(folder), *_filter(config)],
        quakeml=address_of(folder / "catalog.xml", Path(path)),
        created=_date_of(folder / "events.parquet"),
        title=config.report.title or config.name,
    )


def read_json(path: Path) -> dict[str, Any] | None:
    """Read what `evaluate --json` wrote; None where there is no such file."""
    found: dict[str, Any] | None = json.loads(path.read_text()) if path.exists() else None
    return found


def address_of(quakeml: Path, page: Path) -> str | None:
    """Give the address of a file that exists, seen from a page."""
    if not quakeml.exists():
        return None
    return quote(os.path.relpath(quakeml.resolve(), page.resolve().parent))


def _date_of(table: Path) -> str:
    return f"{datetime.fromtimestamp(table.stat().st_mtime, UTC):%Y-%m-%d %H:%M} UTC."


def _run_time(folder: Path) -> list[tuple[str, str]]:
    """Add up the run times of the jobs; nothing where the workflow kept none."""
    files = sorted((folder / "benchmarks").rglob("*.tsv"))
    seconds = sum(float(path.read_text().splitlines()[1].split("\t")[0]) for path in files)
    return (
        [("Run time", f"{duration(seconds)} in {len(files):,} jobs, one after the other.")] if files else []
    )


def _filter(config: Config) -> list[tuple[str, str]]:
    if (band := config.report.bandpass_hz) is None:
        return []
    return [("Filter", f"Waveforms are shown from {band[0]:g} to {band[1]:g} Hz. Picks do not change.")]


def _trainings(folder: Path, rounds: int) -> Iterator[Training]:
    """Read the rounds up to the one whose student is not better than the one before."""
    for number in range(rounds):
        stage = folder / f"round{number + 1}"
        verdict = read_json(stage / "verdict.json")
        if verdict is not None and not verdict["verdicts"][-1]["better"]:
            return
        yield _training(stage, number, rounds)


def _training(stage: Path, number: int, rounds: int) -> Training:
    picks = read_picks(stage / "picks.parquet")
    windows = sum(1 for _ in (stage / "windows").rglob("*.h5"))
    picker = f"student of round {number}" if number else "teacher"
    scores, summary = (stage / "training" / name for name in ("validation.csv", SUMMARY))
    return Training(
        title=f"Training, round {number + 1} of {rounds}",
        text=(
            f"Labels: {int((picks['event_index'] >= 0).sum()):,} of {len(picks):,} picks of the {picker}, "
            f"which association kept, in {windows:,} windows."
        ),
        log=read_csv(stage / "training" / "log.csv"),
        validation=read_csv(scores) if scores.exists() else None,
        summary=TrainingSummary.read(summary) if summary.exists() else None,
    )


def read_association(folder: Path) -> tuple[dict[str, Any], pd.DataFrame | None]:
    """Read the summary of an association (empty without) and its groups (None in earlier versions)."""
    groups = folder / "groups.parquet"
    return read_json(folder / "association.json") or {}, read_groups(groups) if groups.exists() else None


def unused_in_association(folder: Path) -> list[tuple[str, str]]:
    """Name the picks and receivers that association could not use; none without its summary."""
    summary, _ = read_association(folder)
    found = [(f"{count:,} picks", reason) for reason, count in summary.get("left_out", {}).items() if count]
    found += [
        (str(name), "a receiver without a position or an unknown station")
        for name in summary.get("unknown_receivers", {})
    ]
    return found


def _missing_tables(config: Config) -> list[tuple[str, str]]:
    return [
        (cable.geometry.path, "channel table does not exist: no positions")
        for cable in config.cable_settings().values()
        if cable.geometry.path is not None and not Path(cable.geometry.path).exists()
    ]


class _RecordSections:
    """The waveforms around events and groups."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.settings, self.cables, self.folder = config.report, config.cable_settings(), folder
        self.recordings = cache(self._open)
        self.not_opened: list[tuple[str, str]] = []

    def of_the_start(self) -> list[tuple[str, Patch]]:
        """Load the first minute, for a run without events."""
        name = next(iter(self.cables))
        return [
            (
                f"{name}, the first minute",
                self._record(name, one, slice(0, min(round(_WITHOUT_EVENT_S / one.dt_s), one.num_samples))),
            )
            for one in self.recordings(name)[:1]
        ]

    def of_events(self, events: pd.DataFrame, picks: pd.DataFrame) -> Iterator[tuple[int, Patch]]:
        """Load the waveforms around the picks of each event, one after the other."""
        chosen = events.nlargest(self.settings.max_sections, "num_picks").sort_values("time", kind="stable")
        kept = picks[picks["event_index"] >= 0]
        for number in chosen["event_index"]:
            mine = kept[kept["event_index"] == number]
            cable = self._cable_of(mine)
            if cable is None:
                continue
            first, last = mine["phase_time"].min(), mine["phase_time"].max()
            start, end = first - pd.Timedelta(seconds=_BEFORE_S), last + pd.Timedelta(seconds=_AFTER_S)
            found = self._longest(cable, start, end)
            if found is not None:
                yield int(number), self._record(cable, *found)

    def of_groups(self, groups: pd.DataFrame) -> Iterator[tuple[int, Patch]]:
        """Load the waveforms around the largest groups of picks without a location."""
        margin = pd.Timedelta(seconds=MARGIN_S)
        for group in records(largest_groups(groups)):
            cable = self._cable_named(group["station_id"])
            found = self._longest(cable, group["start_time"] - margin, group["end_time"] + margin)
            if found is not None:
                yield group["group_index"], self._record(cable, *found)

    def _longest(self, cable: str, start: pd.Timestamp, end: pd.Timestamp) -> tuple[Recording, slice] | None:
        """Find the recording with the most values in a range of time."""
        limits = [time.tz_convert(None).to_datetime64() for time in (start, end)]
        found = [(one, one.sample_range(*limits)) for one in self.recordings(cable)]
        sizes = [(samples.stop - samples.start) * one.num_channels for one, samples in found]
        return found[int(np.argmax(sizes))] if any(sizes) else None

    def _open(self, cable: str) -> tuple[Recording, ...]:
        data = self.cables[cable].data
        headers = self.folder / "index" / "headers" / f"catalog-{cable}"
        try:
            return open_archive(
                find_recordings(data.inputs, data.fallback_inputs), data, index=headers
            ).recordings
        except PhaseNetDASError as error:
            self.not_opened.append((f"record sections of {cable}", str(error)))
            return ()

    def _cable_of(self, picks: pd.DataFrame) -> str | None:
        """Name the cable with most picks of an event; None where it was seen by seismometers only."""
        counts = picks.loc[picks["channel_index"] >= 0, "station_id"].value_counts()
        return None if counts.empty else self._cable_named(str(counts.index[0]))

    def _cable_named(self, station_id: str) -> str:
        """Name the settings of a cable of the tables; the first where files name the cables."""
        names = {cable.data.station_id or name: name for name, cable in self.cables.items()}
        return names.get(station_id, next(iter(names.values())))

    def _record(self, cable: str, recording: Recording, samples: slice) -> Patch:
        data = recording.load(samples=samples)
        band = self.settings.bandpass_hz
        if band is not None:
            data, _ = fill_gaps(data)
            data = bandpass(data - data.mean(axis=-1, keepdims=True), recording.dt_s, *band)
        return io.make_patch(
            data,
            start_time=np.datetime64(recording.sample_ns(samples.start), "ns"),
            dt_s=recording.dt_s,
            channel_index=recording.channel_index,
            distance_m=recording.distance_m,
            station_id=self.cables[cable].data.station_id or recording.station_id,
            unit=recording.unit,
        )
