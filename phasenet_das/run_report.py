"""The report of a workflow run: from the files of its results folder to one HTML page."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from phasenet_das import io
from phasenet_das.config import Config
from phasenet_das.errors import PhaseNetDASError
from phasenet_das.geometry import load_channels, within_recording
from phasenet_das.picking.conditioning import fill_gaps
from phasenet_das.picking.filters import bandpass
from phasenet_das.picking.recordings import read_recording
from phasenet_das.report import write_report
from phasenet_das.tables import read_coverage, read_events, read_metadata, read_picks

if TYPE_CHECKING:
    from dascore import Patch

__all__ = ["write_run_report"]

log = logging.getLogger(__name__)

_MAX_SECTIONS = 6


def write_run_report(
    config: Config,
    sources: Sequence[str],
    coverage: Sequence[str | Path],
    folder: str | Path,
    path: str | Path,
) -> Path:
    """Write the report of a run from the tables in its results folder.

    Parameters
    ----------
    config : Config
        Settings of the run.
    sources : sequence of str
        Its recordings; those with the most associated picks are drawn.
    coverage : sequence of str or pathlib.Path
        Coverage tables.
    folder : str or pathlib.Path
        Results folder, with ``events.parquet`` and ``picks.parquet``.
    path : str or pathlib.Path
        The HTML file to write.

    Returns
    -------
    pathlib.Path
        The file written.

    Raises
    ------
    TableError
        A table is missing or damaged.
    """
    folder = Path(folder)
    events, picks = read_events(folder / "events.parquet"), read_picks(folder / "picks.parquet")
    examined = pd.concat([read_coverage(table) for table in coverage], ignore_index=True)
    channels = load_channels(config.channels, config.data.station_id)
    return write_report(
        path,
        events=events,
        picks=picks,
        channels=None if channels is None else within_recording(channels, picks),
        coverage=examined,
        sections=list(_sections(config, sources, examined, picks)),
        settings=config.model_dump(mode="json"),
        provenance=read_metadata(folder / "events.parquet"),
        title=config.report.title or config.name,
    )


def _sections(
    config: Config, sources: Sequence[str], coverage: pd.DataFrame, picks: pd.DataFrame
) -> Iterator[tuple[str, Patch]]:
    """Read and filter the recordings that hold the most associated picks."""
    times = picks.loc[picks["event_index"] >= 0, "phase_time"].sort_values().to_numpy()
    spans = coverage[coverage["status"] == "examined"].set_index("source")
    spans = spans.loc[[source for source in sources if source in spans.index]]
    inside = np.searchsorted(times, spans["end"].to_numpy()) - np.searchsorted(
        times, spans["start"].to_numpy()
    )
    order = np.argsort(-inside, kind="stable")[:_MAX_SECTIONS]
    chosen = [spans.index[i] for i in sorted(order) if inside[i] > 0 or len(spans) == 1]
    for source in chosen:
        try:
            patch = read_recording(source, config.data)
        except PhaseNetDASError as error:
            log.warning("%s is not drawn: %s", source, error)
            continue
        yield _heading(source, config), _filtered(patch, config)


def _heading(source: str, config: Config) -> str:
    band = config.report.bandpass_hz
    return Path(source).name + ("" if band is None else f", {band[0]:g} to {band[1]:g} Hz")


def _filtered(patch: Patch, config: Config) -> Patch:
    band = config.report.bandpass_hz
    if band is None:
        return patch
    data, _ = fill_gaps(io.get_data(patch))
    filtered = bandpass(data - data.mean(axis=-1, keepdims=True), io.get_dt_s(patch), *band)
    return patch.update(data=filtered)
