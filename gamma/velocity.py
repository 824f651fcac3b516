"""Velocity of unknown ground, estimated from the picks together with the places of the events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from gamma.config import Layer
from gamma.errors import PickError
from gamma.ground import NUM_PARAMETERS, ground, travel_time_table
from gamma.joint import (
    Observed,
    Precision,
    Solution,
    delay_correlation,
    evaluate,
    first_locations,
    in_ground,
    locate,
    misfit_scale,
    objective,
    parameter_covariance,
    solve,
    weigh,
    with_pick_error,
)
from gamma.travel_time import LayeredModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

MIN_EVENTS = 4
MIN_OBSERVATIONS = 3.0  # of each phase of an event
MAX_PATH_KM = 200.0
MAX_EVENTS = 100
MAX_PLACES = 36
_REACH, _MARGIN_KM = 1.4, 10.0
_LEVEL_KM = 0.25
_MAX_LEVELS = 3
_SURFACE_GRID = (-1.5, -0.75, 0.0, 0.75, 1.5)
_RISE_GRID = (-1.2, 0.0, 1.2, 2.0)
_MODES = 4
_SAMPLES = 40
_WIDENING = 2.0  # of the posterior, because the true ground is no member of the family
_SAMPLE_SEED = 20
_UPPER_KM = 10.0
_TABLES = 2 * _SAMPLES  # kept for associations with the same ground


@dataclass(frozen=True)
class Arrivals:
    """Arrivals of events that are surely associated, thinned along cables."""

    event: I64  # (arrivals,), 0 to events - 1
    place_km: F64  # (arrivals, 3), receiver: east, north, down
    phase: I64  # (arrivals,), 0 P, 1 S
    time_s: F64  # (arrivals,)
    weight: F64  # (arrivals,), share of an independent observation
    hypocentre: F64  # (events, 4), origin time (s), x, y, z (km) to start from


@dataclass(frozen=True)
class VelocityEstimate:
    """The best layered model of the ground, and how well it is known."""

    layers: tuple[Layer, ...]
    vp_vs_ratio: float  # S over P travel time of the arrivals, all events together
    vp_vs_uncertainty: float
    status: Literal["estimated", "assumed"]
    models: tuple[tuple[Layer, ...], ...]  # sample of the posterior
    weight: F64  # (models,), sums to one
    text: str
    relative_uncertainty: float  # of P velocity, mean over the upper 10 km


def estimate_velocity(
    arrivals: Arrivals,
    *,
    depth_range_km: tuple[float, float],
    lower_km: F64,
    upper_km: F64,
    sigma_s: float,
) -> VelocityEstimate:
    """Estimate the layers of the ground, and sample how well they are known.

    Raises
    ------
    PickError
        The arrivals have unequal lengths, unknown events or phases, or values that are not finite.

    Notes
    -----
    `lower_km` and `upper_km` (3,) are the search box. `sigma_s` is the expected error of a pick, around
    which each phase's own error adapts. With fewer than `MIN_EVENTS` events the prior is returned.
    """
    _check(arrivals)
    chosen = _chosen_events(arrivals)
    if len(chosen) < MIN_EVENTS:
        return _assumed(arrivals)
    box = _box(depth_range_km, lower_km, upper_km)
    observed, solutions, precision = _solutions(_observe(arrivals, chosen, box, sigma_s))
    modes = [solution.parameters for solution in solutions]
    covariances = [parameter_covariance(observed, solution, precision) for solution in solutions]
    samples = _sample(modes, covariances)
    starts = [in_ground(observed, _nearest(solutions, one), one) for one in samples]
    drawn = [solve(observed, one, precision, fixed=True) for one in starts]
    misfit = np.array([objective(observed, one, precision) for one in drawn])
    return _estimate(observed, drawn, _importance(samples, misfit, modes, covariances))


def _box(depth_range_km: tuple[float, float], lower_km: F64, upper_km: F64) -> tuple[F64, F64]:
    """Lower and upper limits (3,) of the places."""
    lower, upper = (
        np.array([*limit[:2], depth], dtype=np.float64)
        for limit, depth in zip((lower_km, upper_km), depth_range_km, strict=True)
    )
    return lower, upper


def _check(arrivals: Arrivals) -> None:
    """Refuse unequal lengths, unknown events or phases, and values that are not finite."""
    columns = (arrivals.event, arrivals.place_km, arrivals.phase, arrivals.time_s, arrivals.weight)
    lengths = [len(column) for column in columns]
    if len(set(lengths)) > 1:
        raise PickError(f"arrivals: found columns of lengths {lengths}, expected equal lengths.")
    if not set(np.unique(arrivals.phase).tolist()) <= {0, 1}:
        raise PickError(f"arrivals: found phases {np.unique(arrivals.phase)}, expected 0 (P) and 1 (S).")
    unknown = np.setdiff1d(arrivals.event, np.arange(len(arrivals.hypocentre)))
    if len(unknown):
        raise PickError(
            f"arrivals: found events {unknown}, expected 0 to {len(arrivals.hypocentre) - 1}. "
            "Give a hypocentre for each event."
        )
    if not all(np.isfinite(column).all() for column in (*columns, arrivals.hypocentre)):
        raise PickError("arrivals: found values that are not finite. Remove those arrivals.")


def _chosen_events(arrivals: Arrivals) -> I64:
    """Choose near events with both phases, the MAX_EVENTS that lie farthest apart if there are more."""
    count = np.zeros((len(arrivals.hypocentre), 2))
    np.add.at(count, (arrivals.event, arrivals.phase), arrivals.weight)
    enough = (count >= MIN_OBSERVATIONS).all(axis=1)
    near = _longest_paths(arrivals.place_km, arrivals.hypocentre) <= MAX_PATH_KM
    both = np.flatnonzero(enough & near)
    order = both[np.lexsort((*arrivals.hypocentre[both].T, -count[both].sum(axis=1)))]
    return order[_far_apart(arrivals.hypocentre[order, 1:], MAX_EVENTS)]


def _longest_paths(place_km: F64, hypocentre: F64) -> F64:
    """Largest epicentral distance (events,) from any place, at most."""
    if len(place_km) == 0:
        return np.zeros(len(hypocentre))
    lower, upper = place_km[:, :2].min(axis=0), place_km[:, :2].max(axis=0)
    away = np.maximum(np.abs(hypocentre[:, 1:3] - lower), np.abs(hypocentre[:, 1:3] - upper))
    longest: F64 = np.hypot(away[:, 0], away[:, 1])
    return longest


def _far_apart(place_km: F64, number: int) -> I64:
    """Choose rows of places (n, 3), each the farthest from those before; the first row begins."""
    if len(place_km) <= number:
        return np.arange(len(place_km))
    chosen = [0]
    gap = np.linalg.norm(place_km - place_km[0], axis=1)
    while len(chosen) < number:
        chosen.append(int(gap.argmax()))
        gap = np.minimum(gap, np.linalg.norm(place_km - place_km[chosen[-1]], axis=1))
    return np.array(chosen)


def _observe(arrivals: Arrivals, chosen: I64, box: tuple[F64, F64], sigma_s: float) -> Observed:
    """Arrange the arrivals of the chosen events in columns."""
    used = np.isin(arrivals.event, chosen) & (arrivals.weight > 0.0)
    places, place = np.unique(arrivals.place_km[used], axis=0, return_inverse=True)
    kept = np.sort(_far_apart(places, MAX_PLACES))
    new = np.full(len(places), -1)
    new[kept] = np.arange(len(kept))
    row = np.full(len(arrivals.hypocentre), -1)
    row[chosen] = np.arange(len(chosen))
    event, column = row[arrivals.event[used]], new[place.ravel()]
    inside = column >= 0
    column = column + arrivals.phase[used] * len(kept)
    shape = (len(chosen), 2 * len(kept))
    time, weight = np.full(shape, np.nan), np.zeros(shape)
    time[event[inside], column[inside]] = arrivals.time_s[used][inside]
    weight[event[inside], column[inside]] = arrivals.weight[used][inside]
    weight *= arrivals.weight[used].sum() / max(weight.sum(), 1e-9)  # dropped places leave their share
    place_km = np.tile(places[kept], (2, 1))
    phase = np.repeat([0, 1], len(kept))
    high, low = float(place_km[:, 2].min()), float(place_km[:, 2].max())
    levels = int(np.clip(np.ceil((low - high) / _LEVEL_KM), 0, _MAX_LEVELS - 1)) + 1
    start = arrivals.hypocentre[chosen].astype(np.float64)
    start[:, 1:] = np.clip(start[:, 1:], box[0], box[1])
    return Observed(
        place_km=place_km,
        phase=phase,
        time_s=time,
        weight=weight,
        start=start,
        kernel=delay_correlation(place_km, phase),
        lower_km=box[0],
        upper_km=box[1],
        levels_km=np.linspace(high, low, levels),
        max_range_km=_REACH * float(_longest_paths(places, start).max()) + _MARGIN_KM,
        sigma_s=np.full(len(phase), sigma_s),
    )


def _solutions(observed: Observed) -> tuple[Observed, list[Solution], Precision]:
    """Solve from the best of a grid of grounds, then anew with precisions that follow the best residuals."""
    first = first_locations(observed, np.zeros(NUM_PARAMETERS))
    observed = with_pick_error(observed, first)
    precision = weigh(observed, first)
    trials = [solve(observed, one, precision) for one in _starts(observed, first, precision)]
    best = min(trials, key=lambda one: objective(observed, one, precision))
    precision = weigh(observed, best)
    precision = replace(precision, matrix=precision.matrix / misfit_scale(best, precision))
    return observed, [solve(observed, one, precision) for one in trials], precision


def _starts(observed: Observed, first: Solution, precision: Precision) -> list[Solution]:
    """Locate the events in a grid of grounds, each from the most alike one before, and keep the best."""
    solved = [first]
    grid = [np.array([surface, rise, 0.0, 0.0, 0.0]) for surface in _SURFACE_GRID for rise in _RISE_GRID]
    for parameters in sorted(grid, key=lambda one: float(one @ one)):
        moved = in_ground(observed, _nearest(solved, parameters), parameters)
        solved.append(solve(observed, moved, precision, fixed=True))
    return sorted(solved[1:], key=lambda one: objective(observed, one, precision))[:_MODES]


def _nearest(solutions: list[Solution], parameters: F64) -> Solution:
    """Choose the solution whose ground is most alike."""
    return min(solutions, key=lambda one: float(np.sum((one.parameters - parameters) ** 2)))


def _sample(means: list[F64], covariances: list[F64]) -> F64:
    """Draw parameters (samples, 5) around every mean, in pairs on both sides of it."""
    rng = np.random.default_rng(_SAMPLE_SEED)
    draws = rng.standard_normal((_SAMPLES // (2 * len(means)), len(means[0])))
    parts = []
    for mean, covariance in zip(means, covariances, strict=True):
        offset = _WIDENING * draws @ np.linalg.cholesky(covariance).T
        parts += [mean + offset, mean - offset]
    return np.vstack(parts)


def _importance(samples: F64, misfit: F64, means: list[F64], covariances: list[F64]) -> F64:
    """Weights of samples: the posterior over the mixture of densities that they were drawn from."""
    density = np.zeros(len(samples))
    for mean, covariance in zip(means, covariances, strict=True):
        offset = (samples - mean) / _WIDENING
        square = np.einsum("ni,ij,nj->n", offset, np.linalg.inv(covariance), offset)
        density += np.exp(-0.5 * square) / np.sqrt(np.linalg.det(covariance))
    log_weight = -0.5 * (misfit - misfit.min()) / _WIDENING**2 - np.log(density)
    log_weight = np.minimum(log_weight, np.quantile(log_weight, 0.8))
    weight = np.exp(log_weight - log_weight.max())
    out: F64 = weight / weight.sum()
    return out


def _estimate(observed: Observed, solutions: list[Solution], weight: F64) -> VelocityEstimate:
    """Describe the sample of grounds."""
    known = observed.weight > 0.0
    ratios = np.array([_travel_time_ratio(one.time_s, known) for one in solutions])
    models = tuple(ground(one.parameters, observed.surface_km) for one in solutions)
    middle = ground(weight @ np.array([one.parameters for one in solutions]), observed.surface_km)
    mean = float(weight @ ratios)
    spread = float(np.sqrt(weight @ (ratios - mean) ** 2))
    relative = _relative_uncertainty(models, weight)
    vp = [layer.vp_km_s for layer in middle[:-1]]
    text = (
        f"Velocity: estimated from the picks of {len(observed.start)} events: "
        f"vp/vs {mean:.2f} ± {spread:.2f}. "
        f"Vp of the layers {vp[0]:.1f} to {vp[-1]:.1f} km/s ± {100.0 * relative:.0f} %."
    )
    return VelocityEstimate(
        middle, mean, spread, "estimated", *_likely(models, weight), text=text, relative_uncertainty=relative
    )


def _likely(models: tuple[tuple[Layer, ...], ...], weight: F64) -> tuple[tuple[tuple[Layer, ...], ...], F64]:
    """Drop models of hardly any weight."""
    kept = np.flatnonzero(weight >= 0.2 / len(weight))
    return tuple(models[index] for index in kept), weight[kept] / weight[kept].sum()


def _travel_time_ratio(time_s: F64, known: npt.NDArray[np.bool_]) -> float:
    """S over P travel time, where both arrive or else everywhere."""
    half = time_s.shape[1] // 2
    both = known[:, :half] & known[:, half:]
    both = both if both.any() else np.ones_like(both)
    return float(time_s[:, half:][both].sum() / time_s[:, :half][both].sum())


def _vertical_times(layers: tuple[Layer, ...]) -> F64:
    """P and S time (2,) straight down through the upper 10 km."""
    tops = np.array([*(layer.depth_km for layer in layers), np.inf]) - layers[0].depth_km
    thickness = np.diff(np.minimum(tops, _UPPER_KM))
    slowness = 1.0 / np.array([[layer.vp_km_s, layer.vs_km_s] for layer in layers])
    times: F64 = thickness @ slowness
    return times


def _relative_uncertainty(models: tuple[tuple[Layer, ...], ...], weight: F64) -> float:
    """Relative standard deviation of the vertical P time."""
    time = np.array([_vertical_times(layers)[0] for layers in models])
    mean = weight @ time
    return float(np.sqrt(weight @ (time - mean) ** 2) / mean)


def _assumed(arrivals: Arrivals) -> VelocityEstimate:
    """Fall back on the prior: too few events to estimate anything."""
    surface = float(arrivals.place_km[:, 2].min()) if len(arrivals.place_km) else 0.0
    samples = _sample([np.zeros(NUM_PARAMETERS)], [np.eye(NUM_PARAMETERS)])
    models = tuple(ground(one, surface) for one in samples)
    weight = np.full(len(models), 1.0 / len(models))
    middle = ground(np.zeros(NUM_PARAMETERS), surface)
    ratios = np.array([np.divide(*_vertical_times(layers)[::-1]) for layers in models])
    relative = _relative_uncertainty(models, weight)
    mean, spread = float(ratios.mean()), float(ratios.std())
    text = (
        f"Velocity: assumed, because fewer than {MIN_EVENTS} events have P and S picks: a default crust, "
        f"vp/vs {mean:.2f} ± {spread:.2f}, vp ± {100.0 * relative:.0f} %."
    )
    return VelocityEstimate(
        middle,
        mean,
        spread,
        "assumed",
        models,
        weight,
        text=text,
        relative_uncertainty=relative,
    )


def spread_of_models(
    arrivals: Arrivals,
    estimate: VelocityEstimate,
    *,
    depth_range_km: tuple[float, float],
    lower_km: F64,
    upper_km: F64,
    sigma_s: float,
) -> F64:
    """Covariance (events, 4, 4) of origin time and place over the models of an estimate.

    Every event is located with every model, from the hypocentre that `arrivals` states. Differences are taken
    from its location with the layers of the estimate.
    """
    _check(arrivals)
    if len(arrivals.hypocentre) == 0 or len(arrivals.event) == 0:
        return np.zeros((len(arrivals.hypocentre), 4, 4))
    box = _box(depth_range_km, lower_km, upper_km)
    observed = _observe(arrivals, np.arange(len(arrivals.hypocentre)), box, sigma_s)
    parameters, delay = np.zeros(NUM_PARAMETERS), np.zeros(len(observed.phase))
    levels, depths = tuple(observed.levels_km.tolist()), (float(box[0][2]), float(box[1][2]))
    range_km = 2.0 ** (np.ceil(4.0 * np.log2(observed.max_range_km)) / 4.0)
    table = _kept_table(estimate.layers, levels, depths, range_km)
    start = evaluate(observed, parameters, table, observed.start, delay)
    observed = with_pick_error(observed, start)
    precision = weigh(observed, start)
    start = locate(observed, start, precision, steps=10)
    places = []
    for layers in estimate.models:
        table = _kept_table(layers, levels, depths, range_km)
        moved = evaluate(observed, parameters, table, start.hypocentre, delay)
        places.append(locate(observed, moved, precision, steps=10).hypocentre)
    offset = np.array(places) - start.hypocentre
    covariance: F64 = np.einsum("m,mei,mej->eij", estimate.weight, offset, offset)
    return covariance


@lru_cache(_TABLES)
def _kept_table(
    layers: tuple[Layer, ...],
    levels_km: tuple[float, ...],
    depth_range_km: tuple[float, float],
    range_km: float,
) -> LayeredModel:
    """Tabulate travel times, or take the tables of an earlier association with the same ground."""
    return travel_time_table(layers, np.array(levels_km), depth_range_km, range_km)
