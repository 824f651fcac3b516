"""Associate picks with events, and locate the events."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

    from gamma.config import AssociationConfig
    from gamma.domain import Domain
    from gamma.picks import Observations
    from gamma.receivers import Receivers
    from gamma.results import Look
    from gamma.velocity import VelocityEstimate

logger = logging.getLogger("gamma")

_GROUND_ROUNDS = 2
_FAIR_RESIDUAL = 0.8


@dataclass(frozen=True)
class AssociationResult:
    """Tables that :func:`associate` returns.

    Attributes
    ----------
    events : pandas.DataFrame
        One row per event, by origin time.
    picks : pandas.DataFrame
        The picks given, same rows, same order, with ``event_index``, ``association_score``,
        ``travel_time_residual_s``, ``associated_phase`` (the phase as which the event took the pick),
        ``reason`` and ``group_index``.
    groups : pandas.DataFrame
        Coherent arrivals along cables that no event takes, such as S waves without P: a row each, numbered
        as ``group_index`` of the picks.
    summary : dict
        Settings used, and what became of how many picks. ``events_on_second_look`` counts the events that
        only a later look found.
    ground : VelocityEstimate or None
        Estimated layers, for :func:`associate`; None where the settings state the velocity.
    """

    events: pd.DataFrame
    picks: pd.DataFrame
    groups: pd.DataFrame
    summary: dict[str, Any]
    ground: VelocityEstimate | None = None


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    config: AssociationConfig,
    *,
    explain: bool = False,
    workers: int = 1,
    ground: VelocityEstimate | None = None,
) -> AssociationResult:
    """Associate picks with events, and locate the events.

    The picks that no event explains are looked at once more, alone, and then for events farther away than
    the search box, unless the settings state one. No S stands before P of its event at a receiver.

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
    ground : VelocityEstimate, optional
        ``ground`` of an earlier result, so that the velocity is not estimated again.

    Raises
    ------
    PickError
        The pick table lacks a column, or its times cannot be read.
    StationError
        The station table lacks columns or coordinates, or names a receiver twice.
    """
    # Imported here: the package imports this function at once, as its module has the same name.
    from gamma.domain import make_domain
    from gamma.groups import group_picks
    from gamma.looks import describe_velocity, velocity_text, with_ground_error
    from gamma.picks import load_picks
    from gamma.receivers import load_receivers
    from gamma.results import join_looks, picks_table, summarise

    receivers = load_receivers(stations)
    observations = load_picks(picks, receivers, config)
    if config.velocity_stated:
        ground = None
    elif ground is None:
        ground = _estimated_ground(receivers, config, observations, workers)
    domain = make_domain(receivers, config, ground)
    logger.info(velocity_text(domain))
    looks = [with_ground_error(found) for found in _look_everywhere(domain, observations, workers)]
    events, assignment = join_looks(looks)
    groups, member = group_picks(domain, observations, assignment)
    table = picks_table(picks, observations, assignment, member)
    summary = summarise(domain, looks, table, events, groups, explain=explain)
    summary["velocity"] = describe_velocity(domain)
    return AssociationResult(events, table, groups, summary, ground)


def _estimated_ground(
    receivers: Receivers, config: AssociationConfig, observations: Observations, workers: int
) -> VelocityEstimate:
    """Estimate the velocity from a first look, and anew while that ground explains the picks poorly."""
    from gamma.domain import UNKNOWN_GROUND, make_domain
    from gamma.looks import estimate_ground
    from gamma.results import typical_residual_s

    ground = estimate_ground(receivers, config, [])
    for _ in range(_GROUND_ROUNDS):
        near = replace(make_domain(receivers, config, ground), beyond=None)
        looks = _look_everywhere(
            replace(near, residual_s=UNKNOWN_GROUND * near.residual_s), observations, workers
        )
        ground = estimate_ground(receivers, config, looks)
        if typical_residual_s(looks[0]) < _FAIR_RESIDUAL * config.pick_uncertainty_s:
            break
    return ground


def _look_everywhere(domain: Domain, observations: Observations, workers: int) -> list[Look]:
    """Find the events, look once more at the picks that none explains, then for events beyond the box.

    In a dense sequence the mixture may end with P and S of an event as two events, and refuse both for want
    of the other phase. With the picks of the other events gone, the event stands out. Two events in the box
    that may be P and S of one beyond it are refused as well. A last look takes them after all, if no event
    beyond the box has their picks.
    """
    from gamma.fit import BEYOND, look
    from gamma.results import typical_residual_s
    from gamma.workers import open_runner

    looks: list[Look] = []
    left, refused = observations, False
    with open_runner(domain, workers) as runner:
        for beyond, last in ((False, False), (False, False), (True, False), (False, True)):
            where = domain.beyond if beyond else domain
            if where is None or (looks and len(left) == 0):
                continue
            if last and not refused:
                continue
            usual = where.residual_s  # near events tell nothing of far ones, whose waves cross more ground
            if looks and not beyond:
                usual = typical_residual_s(looks[0])
            found = look(runner.for_look(usual, beyond=beyond, last=last), left)
            refused |= found.fitted.dropped[BEYOND] > 0
            if looks and len(found) == 0:
                continue
            looks.append(found)
            left = left.take(found.left)
    later = sum(map(len, looks[1:]))
    if later:
        logger.info("%d events more among the picks that were left", later)
    return looks
