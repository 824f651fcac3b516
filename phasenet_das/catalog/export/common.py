"""A catalog as every export needs it: checked events, and thinned picks with station code and time error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from phasenet_das.catalog.export.columns import Misfits
from phasenet_das.catalog.export.thinning import thin_picks
from phasenet_das.errors import TableError
from phasenet_das.tables import CHANNEL_COLUMNS, EVENT_COLUMNS, PICK_COLUMNS, atomic_path, conform
from phasenet_das.tables.channels import refuse_repeated
from phasenet_das.tables.codes import station_codes
from phasenet_das.tables.columns import with_event_phase
from phasenet_das.text import records

RECEIVER: Final = ["station_id", "channel_index"]


@dataclass(frozen=True)
class PreparedCatalog:
    """The tables and choices of one export; picks are prepared when a format first asks for them."""

    events: pd.DataFrame  # by time, each event_id once
    all_picks: pd.DataFrame
    channels: pd.DataFrame | None
    max_picks_per_phase: int
    network: str
    metadata: Mapping[str, Any]
    misfits: Misfits = field(default_factory=Misfits)  # what a format could not hold, filled by its writer

    @cached_property
    def picks(self) -> pd.DataFrame:
        """Thinned picks by time, with station codes, longitude, latitude and ``time_error_s``.

        ``phase_type`` is the phase as which the event took the pick, ``picked_phase`` that of the picker.
        A pick without a score, such as one of an analyst, has the full score of 1.
        """
        picks = with_event_phase(conform(self.all_picks, PICK_COLUMNS, "picks"))
        picks["phase_score"] = picks["phase_score"].fillna(1.0)
        picks["time_error_s"] = _time_errors_s(picks)
        picks = _in_order(picks, self.misfits)
        kept = thin_picks(picks, self.max_picks_per_phase)
        if self.channels is None:
            kept = kept.assign(longitude=np.nan, latitude=np.nan)
        else:
            kept = kept.merge(self.channels[[*RECEIVER, "longitude", "latitude"]], on=RECEIVER, how="left")
        kept = kept.merge(self.codes(picks), on=RECEIVER, how="left")
        return kept.sort_values(["phase_time", "pick_id"], kind="stable")

    def codes(self, receivers: pd.DataFrame) -> pd.DataFrame:
        """Station codes of the channel table and of these receivers."""
        known = [] if self.channels is None else [self.channels[RECEIVER]]
        return station_codes(pd.concat([*known, receivers[RECEIVER]]), self.network)

    def events_with_picks(self) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
        """Each event with its picks, by time."""
        groups = dict(iter(self.picks.groupby("event_index")))
        for row in records(self.events):
            yield row, groups.get(row["event_index"], self.picks.iloc[:0])


def prepare_catalog(
    events: pd.DataFrame,
    picks: pd.DataFrame,
    channels: pd.DataFrame | None = None,
    *,
    max_picks_per_phase: int,
    network: str = "XX",
    metadata: Mapping[str, Any] | None = None,
) -> PreparedCatalog:
    """Check the events and channels of an export, and sort the events by time."""
    table = conform(events, EVENT_COLUMNS, "events").sort_values("time", kind="stable")
    twice = table["event_id"].duplicated()
    if twice.any():
        raise TableError(
            f"events: found event_id '{table.loc[twice, 'event_id'].iloc[0]}' twice, expected each once. "
            "Drop the repeated rows."
        )
    placed = None if channels is None else conform(channels, CHANNEL_COLUMNS, "channels")
    if placed is not None:
        refuse_repeated(placed, "channels")
    return PreparedCatalog(table, picks, placed, max_picks_per_phase, network, dict(metadata or {}))


def write_lines(lines: list[str], path: str | Path) -> Path:
    """Write lines of text, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text("".join(line + "\n" for line in lines))
    return Path(path)


def _in_order(picks: pd.DataFrame, misfits: Misfits) -> pd.DataFrame:
    """Leave out the lower score of P and S where S does not come after P of its event and receiver."""
    key = ["event_index", *RECEIVER]
    own = picks.loc[picks["event_index"] >= 0, [*key, "phase_type", "phase_time", "phase_score"]]
    best = own.sort_values("phase_score", ascending=False, kind="stable").drop_duplicates(
        [*key, "phase_type"]
    )
    p, s = (best[best["phase_type"] == phase].reset_index(names="row") for phase in ("P", "S"))
    both = p.merge(s, on=key, suffixes=("_p", "_s"))
    wrong = both[both["phase_time_s"] <= both["phase_time_p"]]
    rows = wrong["row_s"].where(wrong["phase_score_s"] <= wrong["phase_score_p"], wrong["row_p"])
    for early in (wrong["phase_time_s"] - wrong["phase_time_p"]).dt.total_seconds():
        misfits.add("time of S after P", early, "one pick of the two")
    return picks.drop(index=rows.tolist())


def _time_errors_s(picks: pd.DataFrame) -> pd.Series:
    """Give the standard error of each pick: its own, or the rms residual of its event and phase."""
    residual = picks["travel_time_residual_s"].astype(float)
    mean_square = (residual**2).groupby([picks["event_index"], picks["phase_type"]]).transform("mean")
    rms: pd.Series = np.sqrt(mean_square).where(picks["event_index"] >= 0)
    if "phase_time_uncertainty_s" not in picks.columns:
        return rms
    stated: pd.Series = picks["phase_time_uncertainty_s"].astype(float)
    return stated.fillna(rms)
