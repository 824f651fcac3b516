"""From picks and stations to events: seeds, mixture, assignment, tables."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from gamma.amplitudes import event_magnitudes, with_amplitudes
from gamma.blocks import open_runner
from gamma.catalog import events_table, picks_table
from gamma.config import AssociationConfig
from gamma.explain import explain_picks, summarise
from gamma.final import assign, finish
from gamma.mirrors import find_mirrors
from gamma.observations import load_picks
from gamma.outside import join_outside
from gamma.problems import full_picks, receiver_weights, seed_picks
from gamma.receivers import load_receivers
from gamma.search import search
from gamma.setup import make_setup

logger = logging.getLogger("gamma")


@dataclass(frozen=True)
class AssociationResult:
    """What :func:`associate` returns.

    Attributes
    ----------
    events : pandas.DataFrame
        One row per event, by origin time.
    picks : pandas.DataFrame
        The picks given, same rows, same order, with ``event_index``, ``association_score``,
        ``travel_time_residual_s`` and ``reason``.
    summary : dict
        Settings used, and what became of how many picks.
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
        Add the history of every fit to the summary.
    workers : int
        Processes; does not change the result.

    Returns
    -------
    AssociationResult

    Raises
    ------
    PickError
        The pick table lacks a column, or its times cannot be read.
    StationError
        The station table lacks columns or coordinates, or names a receiver twice.
    """
    receivers = load_receivers(stations)
    observations = load_picks(picks, receivers, config)
    setup = make_setup(receivers, config)
    weight = receiver_weights(setup)
    thinned, seeds = seed_picks(setup, observations, weight)
    every = full_picks(setup, observations, weight)
    with open_runner(setup, workers) as runner:
        found, thinned, history = search(runner, thinned)
        final = join_outside(setup, finish(runner, every, found))
        mirrors = find_mirrors(runner, thinned, found, final.components.theta, final.member)
    if config.use_amplitude:
        final = with_amplitudes(setup, final, observations.amplitude)
    assigned = assign(setup, final)
    events = events_table(setup, observations, final, assigned, mirrors)
    if config.use_amplitude:
        magnitudes = event_magnitudes(setup, final, observations.amplitude)
        events["magnitude"], events["magnitude_uncertainty"] = magnitudes.magnitude, magnitudes.uncertainty
    reasons, codes = explain_picks(final, assigned, seeds)
    summary = summarise(setup, observations, final, assigned, history, explain=explain)
    table = picks_table(picks, observations, assigned, reasons, codes)
    summary["reasons"] = table.loc[table["reason"] != "", "reason"].value_counts().sort_index().to_dict()
    if not final.converged:
        logger.warning(
            "the mixture did not converge in max_iterations=%d steps for every batch of events; raise it, or "
            "look for events far outside the search box",
            config.max_iterations,
        )
    return AssociationResult(events, table, summary)
