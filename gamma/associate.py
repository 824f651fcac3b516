"""Associate picks with events, and locate the events."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from gamma.config import AssociationConfig
    from gamma.picks import Observations
    from gamma.results import Look
    from gamma.workers import Runner

logger = logging.getLogger("gamma")


@dataclass(frozen=True)
class AssociationResult:
    """Tables that :func:`associate` returns.

    Attributes
    ----------
    events : pandas.DataFrame
        One row per event, by origin time.
    picks : pandas.DataFrame
        The picks given, same rows, same order, with ``event_index``, ``association_score``,
        ``travel_time_residual_s`` and ``reason``.
    summary : dict
        Settings used, and what became of how many picks. ``events_on_second_look`` counts the events that
        only the second look found.
    """

    events: pd.DataFrame
    picks: pd.DataFrame
    summary: dict[str, Any]


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    config: AssociationConfig,
    *,
    explain: bool = False,
    workers: int = 1,
) -> AssociationResult:
    """Associate picks with events, and locate the events.

    The picks that no event explains are looked at once more, alone.

    Parameters
    ----------
    picks : pandas.DataFrame
        ``station_id``, ``phase_time``, ``phase_type`` and optionally ``channel_index``,
        ``phase_score``, ``phase_amplitude``; further columns pass through.
    stations : pandas.DataFrame
        One row per receiver: ``station_id``, ``channel_index`` (-1 or absent: a seismometer) and
        ``longitude, latitude, elevation_m`` or ``x_km, y_km, z_km``.
    config : AssociationConfig
    explain : bool
        Add the history of every fit of the first look to the summary.
    workers : int
        Processes; does not change the result.

    Raises
    ------
    PickError
        The pick table lacks a column, or its times cannot be read.
    StationError
        The station table lacks columns or coordinates, or names a receiver twice.
    """
    # Imported here: the package imports this function at once, as its module has the same name.
    from gamma.domain import make_domain
    from gamma.picks import load_picks
    from gamma.receivers import load_receivers
    from gamma.results import join_looks, picks_table, summarise
    from gamma.workers import open_runner

    receivers = load_receivers(stations)
    observations = load_picks(picks, receivers, config)
    domain = make_domain(receivers, config)
    with open_runner(domain, workers) as runner:
        looks = _look_twice(runner, observations)
    events, assignment = join_looks(domain, looks)
    table = picks_table(picks, observations, assignment)
    return AssociationResult(events, table, summarise(domain, looks, table, explain=explain))


def _look_twice(runner: Runner, observations: Observations) -> list[Look]:
    """Find the events, then look once more, alone, at the picks that no event explains.

    In a dense sequence the mixture may end with P and S of an event as two events, and refuse both for want
    of the other phase. With the picks of the other events gone, the event stands out.
    """
    import numpy as np

    from gamma.fit import look

    first = look(runner, observations)
    left = np.flatnonzero(first.assignment.event < 0)
    if len(first) == 0 or len(left) == 0:
        return [first]
    second = look(runner, observations.take(left))
    if len(second) == 0:
        return [first]
    logger.info("%d events more among the picks that were left", len(second))
    return [first, second]
