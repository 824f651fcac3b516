"""From picks and stations to events: seeds, mixture, assignment, tables."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gamma.config import AssociationConfig
from gamma.mixture import Components, Fit, Problem, expect, find_pairs, fit
from gamma.observations import Observations, load_picks
from gamma.receivers import Mode, Receivers, load_receivers
from gamma.seeds import SeedGrid, find_seeds
from gamma.segments import CableCells, make_cells, make_seed_picks
from gamma.traveltime import HomogeneousModel, TravelTimeModel
from gamma.uncertainty import Location, describe_locations, log_odds

__all__ = ["AssociationResult", "associate"]

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

logger = logging.getLogger("gamma")

_ROUNDS = 4
_TARGET_NODES = 1500
_POINT_REACH_KM = 300.0
_MARGIN_KM = 50.0
_MIN_EFFECTIVE_PICKS = 5.0


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


@dataclass(frozen=True)
class Setup:
    """Everything derived from stations and settings."""

    config: AssociationConfig
    receivers: Receivers
    mode: Mode
    model: TravelTimeModel
    cells: CableCells
    grid: SeedGrid
    lower_km: F64
    upper_km: F64
    min_p_picks: int
    min_s_picks: int


def associate(
    picks: pd.DataFrame,
    stations: pd.DataFrame,
    config: AssociationConfig,
    *,
    explain: bool = False,
    workers: int = 1,
    seed: int = 0,
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
    seed : int
        Kept for reproducibility of callers; the method itself draws no random numbers.

    Returns
    -------
    AssociationResult

    Raises
    ------
    PickError, StationError
        A table cannot be used.
    """
    del workers, seed
    receivers = load_receivers(stations)
    setup = make_setup(receivers, config)
    observations = load_picks(picks, receivers, config)
    problem, order = make_problem(setup, observations)
    fitted, history = search(setup, problem)
    return make_result(picks, setup, observations, problem, order, fitted, history if explain else None)


def make_setup(receivers: Receivers, config: AssociationConfig) -> Setup:
    """Derive search box, grid and cells from the receivers' extent and the velocities."""
    model = HomogeneousModel(config.vp_km_s, config.s_velocity_km_s)
    slowest = model.slowest_km_s[1]
    mode = receivers.mode(3.0 * slowest * config.pick_uncertainty_s)
    if mode != "full":
        along = receivers.xyz_km.copy()
        along[:, :2] = 0.0
        along[:, 2] = along[:, 2] if mode == "vertical" else 0.0
        receivers = replace(receivers, xyz_km=along)
    lower, upper = _search_box(receivers, config, mode)
    cells = make_cells(receivers, 1.5 * slowest * config.pick_uncertainty_s)
    grid = _seed_grid(receivers, cells, model, lower, upper, config)
    both = 1 if mode == "point" else 0
    setup = Setup(
        config=config,
        receivers=receivers,
        mode=mode,
        model=model,
        cells=cells,
        grid=grid,
        lower_km=lower,
        upper_km=upper,
        min_p_picks=both if config.min_p_picks is None else config.min_p_picks,
        min_s_picks=both if config.min_s_picks is None else config.min_s_picks,
    )
    logger.info("settings used: %s", describe_setup(setup))
    return setup


def describe_setup(setup: Setup) -> dict[str, Any]:
    """List the settings in use, those derived from the geometry among them."""
    return {
        "geometry": setup.mode if setup.receivers.geometry_known else "unknown (a point)",
        "receivers": len(setup.receivers),
        "cables": setup.receivers.num_cables,
        "aperture_km": round(setup.receivers.horizontal_aperture_km, 3),
        "search_box_lower_km": [round(float(value), 3) for value in setup.lower_km],
        "search_box_upper_km": [round(float(value), 3) for value in setup.upper_km],
        "seed_nodes": len(setup.grid.nodes_km),
        "seed_window_s": round(setup.grid.window_s, 3),
        "seed_separation_s": round(setup.grid.separation_s, 3),
        "cable_cells": int((setup.cells.size > 1).sum()),
        "min_p_picks": setup.min_p_picks,
        "min_s_picks": setup.min_s_picks,
    }


def _search_box(receivers: Receivers, config: AssociationConfig, mode: Mode) -> tuple[F64, F64]:
    lower, upper = np.zeros(3), np.zeros(3)
    lower[2], upper[2] = config.depth_range_km
    if mode != "full":
        upper[0] = config.max_distance_km or _POINT_REACH_KM
        if mode == "point":
            lower[2] = upper[2] = 0.0
        return lower, upper
    margin = config.max_distance_km or max(_MARGIN_KM, receivers.horizontal_aperture_km)
    lower[:2] = receivers.xyz_km[:, :2].min(axis=0) - margin
    upper[:2] = receivers.xyz_km[:, :2].max(axis=0) + margin
    if config.x_range_km is not None and config.y_range_km is not None:
        (lower[0], upper[0]), (lower[1], upper[1]) = config.x_range_km, config.y_range_km
    return lower, upper


def _seed_grid(
    receivers: Receivers,
    cells: CableCells,
    model: TravelTimeModel,
    lower: F64,
    upper: F64,
    config: AssociationConfig,
) -> SeedGrid:
    sides = upper - lower
    depths = lower[2] + sides[2] * (np.array([0.15, 0.5]) if sides[2] > 0 else np.zeros(1))
    per_level = _TARGET_NODES / len(depths)
    area = float(sides[0] * sides[1])
    spacing = float(np.sqrt(area / per_level)) if area > 0 else max(float(sides[0]) / 120.0, 1.0)
    axes = [
        np.arange(spacing / 2.0, side, spacing) + low for side, low in zip(sides[:2], lower[:2], strict=True)
    ]
    axes = [axis if len(axis) else np.array([low]) for axis, low in zip(axes, lower[:2], strict=True)]
    nodes = np.stack(np.meshgrid(*axes, depths, indexing="ij"), axis=-1).reshape(-1, 3)
    place = np.repeat(receivers.xyz_km[cells.representative], 2, axis=0)
    phase = np.arange(len(place)) & 1
    table = model.times(nodes[:, None, :], place[None], phase)
    window = spacing / model.slowest_km_s[1] + 2.0 * config.pick_uncertainty_s
    return SeedGrid(nodes, table, float(window), float(max(3.0 * window, 5.0)))


def make_problem(setup: Setup, observations: Observations) -> tuple[Problem, I64]:
    """Bring picks into the mixture's order (slot, then time); also give that order."""
    receivers = setup.receivers
    order = np.lexsort((observations.time_s, observations.slot))
    slots = np.arange(2 * len(receivers))
    weight = _receiver_weight(setup)
    problem = Problem(
        time_s=observations.time_s[order],
        slot=observations.slot[order],
        weight=weight[observations.slot[order] >> 1],
        noise=np.ones(len(order)),
        slot_xyz_km=np.repeat(receivers.xyz_km, 2, axis=0),
        slot_weight=np.repeat(weight, 2),
        slot_group=2 * (receivers.cable[slots >> 1] + 1) + (slots & 1),
        travel_time=setup.model,
        lower_km=setup.lower_km,
        upper_km=setup.upper_km,
        sigma_s=setup.config.pick_uncertainty_s,
    )
    return replace(problem, noise=noise_rates(problem, np.full(len(order), 0.5))), order


def _receiver_weight(setup: Setup) -> F64:
    """Share of an independent observation that each receiver's pick makes."""
    cable = setup.receivers.cable
    weight = np.ones(len(cable))
    for index in range(setup.receivers.num_cables):
        channels = cable == index
        number = setup.config.effective_observations or len(np.unique(setup.cells.cell[channels]))
        weight[channels] = min(1.0, number / channels.sum())
    return weight


def noise_rates(problem: Problem, share: F64) -> F64:
    """Rate of false picks on each pick's slot (1/s), drawn towards the mean of all slots.

    Parameters
    ----------
    problem : Problem
    share : numpy.ndarray, shape (picks,)
        How much of each pick is taken to be false.
    """
    if len(problem.time_s) == 0:
        return np.ones(0)
    span = float(np.ptp(problem.time_s)) + 30.0
    slots = len(problem.slot_weight)
    number = np.bincount(problem.slot, share, minlength=slots)
    mean = max(float(number.sum()), 1.0) / (slots * span)
    prior = 5.0
    rate: F64 = (number + prior) / (span + prior / mean)
    return rate[problem.slot]


def search(setup: Setup, problem: Problem) -> tuple[tuple[Problem, Fit], list[dict[str, Any]]]:
    """Seed, fit, drop what has no evidence, and seed again in what is left, until nothing new is found."""
    groups = problem.num_groups or 2
    found = Components(np.empty((0, 4)), np.empty(0), np.empty((0, groups)))
    left = np.ones(len(problem.time_s), dtype=bool)
    history: list[dict[str, Any]] = []
    fitted = fit(problem, found, max_iterations=1, reach_s=1.0)
    for _ in range(_ROUNDS):
        fresh = _seed_components(setup, problem, left)
        if len(fresh) == 0:
            break
        fitted = _fit_supported(setup, problem, found.joined(fresh))
        history.append(
            {"seeds": len(fresh), "events": len(fitted.components), "bound": [t.bound for t in fitted.trace]}
        )
        claimed = 1.0 - _noise_posterior(problem, fitted)
        left = claimed < 0.5
        problem = replace(problem, noise=noise_rates(problem, 1.0 - claimed))
        if len(fitted.components) <= len(found):
            break
        found = fitted.components
    return (problem, fitted), history


def _noise_posterior(problem: Problem, fitted: Fit) -> F64:
    share: F64 = problem.noise / fitted.expectation.total if len(problem.time_s) else np.ones(0)
    return share


def _seed_components(setup: Setup, problem: Problem, left: npt.NDArray[np.bool_]) -> Components:
    gap = 2.0 * setup.config.pick_uncertainty_s
    picks = make_seed_picks(problem.time_s[left], problem.slot[left], setup.cells, gap)
    if len(picks.time_s) == 0:
        return Components(np.empty((0, 4)), np.empty(0), np.empty((0, problem.num_groups or 2)))
    start, end = float(picks.time_s[0]) - setup.grid.reach_s, float(picks.time_s[-1])
    seeds = find_seeds(picks, setup.grid, start, end, _MIN_EFFECTIVE_PICKS)
    sigma = np.full((len(seeds.count), problem.num_groups), setup.grid.window_s / 2.0)
    return Components(seeds.theta, np.maximum(seeds.count, 1.0), sigma)


def _fit_supported(setup: Setup, problem: Problem, components: Components) -> Fit:
    """Fit, drop the events without support one batch at a time, and fit again."""
    while True:
        fitted = fit(
            problem,
            components,
            max_iterations=setup.config.max_iterations,
            reach_s=2.0 * setup.grid.window_s,
        )
        keep = _supported(setup, problem, fitted)
        if keep.all():
            return fitted
        components = fitted.components.take(keep)


def _supported(setup: Setup, problem: Problem, fitted: Fit) -> npt.NDArray[np.bool_]:
    """Events with evidence and enough picks of both kinds."""
    if len(fitted.components) == 0:
        return np.ones(0, dtype=bool)
    config, pairs = setup.config, fitted.pairs
    events = len(fitted.components)
    sure = fitted.expectation.posterior >= config.min_association_score
    shear = (problem.slot[pairs.pick] & 1) == 1

    def count(where: npt.NDArray[np.bool_], weights: F64 | None = None) -> F64:
        chosen = None if weights is None else weights[where]
        return np.bincount(pairs.event[where], chosen, minlength=events).astype(np.float64)

    weight = problem.weight[pairs.pick]
    if setup.mode == "point":
        sure &= ~_contested(setup, fitted)
    keep = log_odds(problem, fitted) >= config.min_log_odds
    keep &= count(sure, weight) >= (_MIN_EFFECTIVE_PICKS if config.min_picks is None else 0.0)
    keep &= count(sure) >= (config.min_picks or 0)
    keep &= count(sure & ~shear, weight if config.min_p_picks is None else None) >= setup.min_p_picks
    keep &= count(sure & shear, weight if config.min_s_picks is None else None) >= setup.min_s_picks
    return keep


def _contested(setup: Setup, fitted: Fit) -> npt.NDArray[np.bool_]:
    """Pairs whose pick a larger event explains too, as far as a point array can tell arrivals apart.

    Without moveout, picks of one phase that scatter or are mislabelled near another event's arrival look
    like an event of their own; a real one has picks of both phases that no larger event explains.
    """
    pairs, count = fitted.pairs, fitted.components.count
    near = np.abs(fitted.expectation.residual_s) <= setup.grid.window_s
    rank = np.empty(len(count), dtype=np.int64)
    rank[np.lexsort((fitted.components.theta[:, 0], -count))] = np.arange(len(count))
    best = np.full(int(pairs.pick.max(initial=-1)) + 1, len(count))
    np.minimum.at(best, pairs.pick[near], rank[pairs.event[near]])
    return best[pairs.pick] < rank[pairs.event]


def _assign(config: AssociationConfig, problem: Problem, fitted: Fit) -> tuple[I64, F64, F64]:
    """Give each pick to its most probable event, one pick per event, receiver and phase."""
    picks = len(problem.time_s)
    event = np.full(picks, -1, dtype=np.int64)
    score, residual = np.full(picks, np.nan), np.full(picks, np.nan)
    pairs, now = fitted.pairs, fitted.expectation
    order = np.lexsort((pairs.event, -now.posterior, pairs.pick))
    order = order[np.unique(pairs.pick[order], return_index=True)[1]]
    order = order[now.posterior[order] >= config.min_association_score]
    seat = pairs.event[order] * len(problem.slot_weight) + problem.slot[pairs.pick[order]]
    ranked = order[np.lexsort((pairs.pick[order], -now.posterior[order], seat))]
    seats = pairs.event[ranked] * len(problem.slot_weight) + problem.slot[pairs.pick[ranked]]
    ranked = ranked[np.unique(seats, return_index=True)[1]]
    event[pairs.pick[ranked]] = pairs.event[ranked]
    score[pairs.pick[ranked]] = now.posterior[ranked]
    residual[pairs.pick[ranked]] = now.residual_s[ranked]
    return event, score, residual


def make_result(
    picks: pd.DataFrame,
    setup: Setup,
    observations: Observations,
    problem: Problem,
    order: I64,
    fitted: tuple[Problem, Fit],
    history: list[dict[str, Any]] | None,
) -> AssociationResult:
    """Assemble the tables."""
    problem, final = fitted
    by_time = np.lexsort((*final.components.theta.T[::-1],))
    components = final.components.take(by_time)
    reach = np.full(components.sigma_s.shape, 2.0 * setup.grid.window_s)
    pairs = find_pairs(problem, components, reach)
    final = Fit(components, pairs, expect(problem, components, pairs), final.converged, final.n_iter)
    event, score, residual = _assign(setup.config, problem, final)
    events = _events_table(setup, observations, problem, final, event, residual)
    rows = observations.row[order]
    out = picks.copy()
    out["event_index"] = _scatter(observations.num_rows, rows, event, -1).astype(np.int64)
    out["association_score"] = _scatter(observations.num_rows, rows, score, np.nan).astype(np.float32)
    out["travel_time_residual_s"] = _scatter(observations.num_rows, rows, residual, np.nan).astype(np.float32)
    reason = np.full(observations.num_rows, "", dtype=object)
    reason[rows] = np.where(event >= 0, "", "fits no event")
    for text, where in observations.excluded.items():
        reason[where] = text
    out["reason"] = pd.array(reason, dtype="str")
    summary: dict[str, Any] = {
        "picks": observations.num_rows,
        "associated": int((event >= 0).sum()),
        "events": len(events),
        "converged": final.converged,
        "left_out": {text: len(where) for text, where in observations.excluded.items()},
        "unknown_receivers": observations.unknown_receivers,
        "settings": describe_setup(setup),
    }
    if history is not None:
        summary["rounds"] = history
    return AssociationResult(events, out, summary)


def _scatter(size: int, rows: I64, values: npt.NDArray[Any], fill: float) -> npt.NDArray[Any]:
    out = np.full(size, fill, dtype=np.float64)
    out[rows] = values
    return out


def _events_table(
    setup: Setup, observations: Observations, problem: Problem, final: Fit, event: I64, residual: F64
) -> pd.DataFrame:
    components = final.components
    events = len(components)
    location = describe_locations(problem, final, setup.receivers.xyz_km, setup.config.velocity_uncertainty)
    given = event >= 0
    shear = (problem.slot & 1) == 1

    def number(where: npt.NDArray[np.bool_]) -> I64:
        return np.bincount(event[where], minlength=events).astype(np.int64)

    count = np.maximum(number(given), 1)
    square = np.bincount(event[given], residual[given] ** 2, minlength=events)
    receivers = np.unique(event[given] * len(setup.receivers) + (problem.slot[given] >> 1))
    time_ns = observations.reference_ns + np.round(components.theta[:, 0] * 1e9).astype(np.int64)
    horizontal = _horizontal_uncertainty(location)
    known = setup.mode == "full"
    longitude, latitude = setup.receivers.frame.to_geographic(components.theta[:, 1], components.theta[:, 2])
    blank = np.full(events, np.nan)
    table = pd.DataFrame(
        {
            "event_index": np.arange(events, dtype=np.int64),
            "event_id": pd.array(_event_ids(time_ns, components), dtype="str"),
            "time": pd.to_datetime(time_ns, utc=True).as_unit("ns"),
            "time_uncertainty_s": np.sqrt(location.covariance[:, 0, 0]),
            "longitude": longitude if known else blank,
            "latitude": latitude if known else blank,
            "depth_km": components.theta[:, 3] if setup.mode != "point" else blank,
            "horizontal_uncertainty_km": horizontal if known else blank,
            "depth_uncertainty_km": np.sqrt(location.covariance[:, 3, 3]) if setup.mode != "point" else blank,
            "source_distance_km": location.distance_km,
            "source_distance_uncertainty_km": location.distance_uncertainty_km,
            "num_picks": number(given),
            "num_p_picks": number(given & ~shear),
            "num_s_picks": number(given & shear),
            "num_channels": np.bincount(receivers // len(setup.receivers), minlength=events).astype(np.int64),
            "residual_rms_s": np.sqrt(square / count),
            "azimuthal_gap_deg": blank,
            "location_quality": pd.array(_flags(setup, components), dtype="str"),
        }
    )
    if known:
        table["x_km"], table["y_km"] = components.theta[:, 1], components.theta[:, 2]
    return table


def _horizontal_uncertainty(location: Location) -> F64:
    """Semi-major axis (km) of one standard error."""
    if len(location.covariance) == 0:
        return np.empty(0)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(location.covariance[:, 1:3, 1:3])[:, -1], 0.0))


def _flags(setup: Setup, components: Components) -> list[str]:
    always = []
    if setup.mode != "full":
        always.append("azimuth-unconstrained")
    if not setup.receivers.geometry_known:
        always.append("geometry-unknown")
    place, free = components.theta[:, 1:], setup.upper_km > setup.lower_km
    low = (place <= setup.lower_km + 1e-6) & free
    high = (place >= setup.upper_km - 1e-6) & free
    if setup.mode != "full":
        low[:, 0] = False  # distance zero is a place, not an edge
    edge: npt.NDArray[np.bool_] = (low | high).any(axis=1)
    return [";".join(["at-boundary", *always] if boundary else always) for boundary in edge]


def _event_ids(time_ns: I64, components: Components) -> list[str]:
    """Name events by origin time and a short hash of their place, so that equal inputs give equal names."""
    stamps = pd.to_datetime(time_ns, utc=True).strftime("%Y%m%dT%H%M%S%f").str[:-3]
    places = np.round(components.theta[:, 1:], 2) + 0.0
    return [
        f"ev{stamp}-{hashlib.sha256(f'{ns}{place.tolist()}'.encode()).hexdigest()[:6]}"
        for stamp, ns, place in zip(stamps, time_ns // 10**6, places, strict=True)
    ]
