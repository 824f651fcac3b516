"""Hypocentres, delays of places and the ground, solved for together by damped Gauss-Newton steps.

Errors of the arrivals are correlated along a cable, because the true ground departs from layers. They enter
as a share of the travel time that is alike over some distance, and as delays of places that all events share.
Events close to each other have the same path errors and count as one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from gamma.config import Layer
from gamma.ground import ground, travel_time_table
from gamma.travel_time import LayeredModel

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_PATH_SHARE = 0.012
_PATH_LENGTH_KM = 2.0
_ROWS_AT_A_TIME = 500
_SITE_DELAY_S = np.array([0.03, 0.06])
_COMMON_P_S = 0.7
_MISSING_S2 = 1e6
_DEGREES_OF_FREEDOM = 4.0
_SOUND = 3.0
_DEPTH_PRIOR_KM = (8.0, 10.0)
_DEPTH_STARTS_KM = (4.0, 12.0)
_STEPS = 8
_FIXED_STEPS = 2
_SMALL_GAIN = 0.05
_CHANGE = 0.1
_PICK_ERROR_PRIOR = 20.0


@dataclass(frozen=True)
class Observed:
    """Arrival times in columns: `columns` are P at all places, then S at all places."""

    place_km: F64  # (columns, 3)
    phase: I64  # (columns,)
    time_s: F64  # (events, columns), NaN where none
    weight: F64  # (events, columns), zero where none
    start: F64  # (events, 4)
    kernel: F64 = field(repr=False)  # (columns, columns), how alike delays are
    lower_km: F64
    upper_km: F64
    levels_km: F64
    max_range_km: float
    sigma_s: F64  # (columns,)

    @property
    def surface_km(self) -> float:
        """Depth of the highest receiver."""
        return float(self.place_km[:, 2].min())

    def table(self, layers: tuple[Layer, ...]) -> LayeredModel:
        """Tabulate the travel times of a model."""
        depths = (float(self.lower_km[2]), float(self.upper_km[2]))
        return travel_time_table(layers, self.levels_km, depths, self.max_range_km)

    def ground_table(self, parameters: F64) -> LayeredModel:
        """Tabulate the travel times of a member of the family."""
        return self.table(ground(parameters, self.surface_km))

    def predict(self, table: LayeredModel, place_km: F64) -> tuple[F64, F64]:
        """Travel times (events, columns) from places (events, 3), and gradients (events, columns, 3)."""
        shape = (len(place_km), len(self.phase))
        source = np.repeat(place_km, shape[1], axis=0)
        time, gradient = table.times_and_gradients(
            source, np.tile(self.place_km, (shape[0], 1)), np.tile(self.phase, shape[0])
        )
        return time.reshape(shape), gradient.reshape(*shape, 3)


@dataclass(frozen=True)
class Precision:
    """Inverse covariances of the arrivals of each event, frozen while the objective is compared."""

    matrix: F64  # (events, columns, columns), zero where no arrival is
    event_weight: F64  # (events,), share of an independent event


@dataclass(frozen=True)
class Solution:
    """Hypocentres, delays and parameters, with what is left of the times."""

    parameters: F64  # (5,), in units of the prior
    table: LayeredModel = field(repr=False)
    hypocentre: F64  # (events, 4)
    delay_s: F64  # (columns,)
    time_s: F64  # (events, columns), travel times
    gradient: F64  # (events, columns, 3)
    residual_s: F64  # (events, columns), zero where no arrival is


def delay_correlation(place_km: F64, phase: I64) -> F64:
    """Correlation of delays between columns: it falls with the distance of places; P and S are alike."""
    apart = np.linalg.norm(place_km[:, None] - place_km[None], axis=2)
    same = np.where(phase[:, None] == phase[None], 1.0, _COMMON_P_S)
    kernel: F64 = same * np.exp(-apart / _PATH_LENGTH_KM)
    return kernel


def with_pick_error(observed: Observed, solution: Solution) -> Observed:
    """Take the pick error of each phase from the differences of residuals between neighbouring places."""
    half = len(observed.phase) // 2
    apart = np.linalg.norm(observed.place_km[:half, None] - observed.place_km[None, :half], axis=2)
    neighbour = (apart + np.diag(np.full(half, np.inf))).argmin(axis=1)
    residual = np.where(observed.weight > 0.0, solution.residual_s, np.nan)
    sigma = observed.sigma_s.copy()
    for first in (0, half):
        part = residual[:, first : first + half]
        change = np.abs(part - part[:, neighbour])
        found = np.isfinite(change).sum()
        spread = 1.4826 * float(np.nanmedian(change)) / np.sqrt(2.0) if found else 0.0
        mean = (found * spread + _PICK_ERROR_PRIOR * sigma[first]) / (found + _PICK_ERROR_PRIOR)
        sigma[first : first + half] = np.clip(mean, 0.2 * sigma[first], 1.5 * sigma[first])
    return replace(observed, sigma_s=sigma)


def first_locations(observed: Observed, parameters: F64) -> Solution:
    """Locate the events from several depths with one ground, and keep the better place of each."""
    table = observed.ground_table(parameters)
    none = np.zeros(observed.time_s.shape[1])
    found: list[Solution] = []
    for depth in _DEPTH_STARTS_KM:
        hypocentre = observed.start.copy()
        hypocentre[:, 3] = np.clip(depth, observed.lower_km[2], observed.upper_km[2])
        time, _ = observed.predict(table, hypocentre[:, 1:])
        hypocentre[:, 0] = np.nanmedian(observed.time_s - time, axis=1)
        start = evaluate(observed, parameters, table, hypocentre, none)
        found.append(locate(observed, start, weigh(observed, start), steps=12))
    precision = weigh(observed, found[0])
    costs = np.array([event_misfits(one, precision) for one in found])
    better = costs.argmin(axis=0)
    hypocentre = np.stack([one.hypocentre for one in found])[better, np.arange(len(better))]
    return evaluate(observed, parameters, table, hypocentre, none)


def locate(observed: Observed, solution: Solution, precision: Precision, steps: int = 5) -> Solution:
    """Locate every event for itself by damped Gauss-Newton steps, the ground and the delays fixed."""
    damping = np.full(len(solution.hypocentre), 1e-2)
    cost = event_misfits(solution, precision)
    for _ in range(steps):
        matrix, slope, _ = _own_normal(solution, precision)
        matrix[:, np.arange(4), np.arange(4)] *= 1.0 + damping[:, None]
        step = np.linalg.solve(matrix, slope[:, :, None])[:, :, 0]
        hypocentre = _inside(observed, solution.hypocentre, solution.hypocentre + step)
        trial = evaluate(observed, solution.parameters, solution.table, hypocentre, solution.delay_s)
        new = event_misfits(trial, precision)
        better = new <= cost
        gain = np.where(better, cost - new, 0.0)
        damping = np.clip(np.where(better, 0.2 * damping, 10.0 * damping), 1e-6, 1e8)
        cost = np.where(better, new, cost)
        solution = _mixed(solution, trial, better)
        if gain.max(initial=0.0) < 1e-3 and better.all():
            break
    return solution


def _own_normal(solution: Solution, precision: Precision) -> tuple[F64, F64, F64]:
    """Sum the equations of the hypocentres: matrices (events, 4, 4), slopes (events, 4), weighted rows."""
    own = np.concatenate([np.ones((*solution.time_s.shape, 1)), solution.gradient], axis=2)
    rows = precision.event_weight[:, None, None] * (np.swapaxes(own, 1, 2) @ precision.matrix)
    matrix = rows @ own + 1e-9 * np.eye(4)
    slope = (rows @ solution.residual_s[:, :, None])[:, :, 0]
    weight = precision.event_weight / _DEPTH_PRIOR_KM[1]
    matrix[:, 3, 3] += weight / _DEPTH_PRIOR_KM[1]
    slope[:, 3] += weight * _depth_residual(solution)
    return matrix, slope, rows


def _mixed(solution: Solution, trial: Solution, better: npt.NDArray[np.bool_]) -> Solution:
    """Take the better events of a trial."""
    return replace(
        solution,
        hypocentre=np.where(better[:, None], trial.hypocentre, solution.hypocentre),
        time_s=np.where(better[:, None], trial.time_s, solution.time_s),
        gradient=np.where(better[:, None, None], trial.gradient, solution.gradient),
        residual_s=np.where(better[:, None], trial.residual_s, solution.residual_s),
    )


def _inside(observed: Observed, hypocentre: F64, trial: F64) -> F64:
    """Keep steps inside the box; one that would leave it goes half way to the edge."""
    place, aim = hypocentre[:, 1:], trial[:, 1:]
    aim = np.where(aim < observed.lower_km, 0.5 * (place + observed.lower_km), aim)
    aim = np.where(aim > observed.upper_km, 0.5 * (place + observed.upper_km), aim)
    return np.column_stack([trial[:, 0], aim])


def evaluate(
    observed: Observed, parameters: F64, table: LayeredModel, hypocentre: F64, delay_s: F64
) -> Solution:
    """Evaluate hypocentres and delays with a table of travel times."""
    time, gradient = observed.predict(table, hypocentre[:, 1:])
    residual = np.nan_to_num(observed.time_s - hypocentre[:, :1] - time - delay_s, nan=0.0)
    return Solution(parameters, table, hypocentre, delay_s, time, gradient, residual)


def in_ground(observed: Observed, solution: Solution, parameters: F64) -> Solution:
    """Evaluate a solution's hypocentres in another ground."""
    table = observed.ground_table(parameters)
    moved = evaluate(observed, parameters, table, solution.hypocentre, solution.delay_s)
    shift = np.where(observed.weight > 0.0, moved.residual_s, np.nan)
    hypocentre = moved.hypocentre.copy()
    hypocentre[:, 0] += np.nanmedian(shift, axis=1)
    return evaluate(observed, parameters, table, hypocentre, solution.delay_s)


def weigh(observed: Observed, solution: Solution) -> Precision:
    """Weigh arrivals by pick errors, path delays and robustness; events by neighbours and soundness."""
    known = observed.weight > 0.0
    path = _PATH_SHARE * solution.time_s
    spread = np.hypot(observed.sigma_s / np.sqrt(np.maximum(observed.weight, 1e-6)), path)
    square = (solution.residual_s / spread) ** 2
    robust = np.minimum((_DEGREES_OF_FREEDOM + 1.0) / (_DEGREES_OF_FREEDOM + square), 1.0)
    variance = observed.sigma_s**2 / np.maximum(observed.weight * robust, 1e-9)
    covariance = path[:, :, None] * path[:, None, :] * observed.kernel
    columns = np.arange(len(observed.phase))
    covariance[:, columns, columns] += np.where(known, variance, _MISSING_S2)
    matrix: F64 = np.where(known[:, :, None] & known[:, None, :], np.linalg.inv(covariance), 0.0)
    return Precision(matrix, _soundness(solution, matrix) / _neighbours(solution.hypocentre[:, 1:]))


def _neighbours(place_km: F64) -> F64:
    """Count the events (events,) that have the same path errors, each event itself included."""
    count = np.empty(len(place_km))
    for first in range(0, len(place_km), _ROWS_AT_A_TIME):  # memory grows with the events, not their square
        rows = slice(first, first + _ROWS_AT_A_TIME)
        apart = np.linalg.norm(place_km[rows, None] - place_km[None], axis=2)
        count[rows] = np.exp(-0.5 * (apart / _PATH_LENGTH_KM) ** 2).sum(axis=1)
    return count


def _squares(solution: Solution, matrix: F64) -> tuple[F64, F64]:
    """Weighted squares of each event's residuals, and their degrees of freedom."""
    squares = np.einsum("ei,eij,ej->e", solution.residual_s, matrix, solution.residual_s, optimize=True)
    known = (np.einsum("eii->ei", matrix) > 0.0).sum(axis=1)
    return squares, np.maximum(known - 4.0, 1.0)


def _soundness(solution: Solution, matrix: F64) -> F64:
    """Weight (events,) below 1 for events that fit far worse than most."""
    squares, freedom = _squares(solution, matrix)
    ratio = squares / freedom
    limit = _SOUND * max(float(np.median(ratio)), 1e-6)
    weight: F64 = np.minimum(1.0, limit / np.maximum(ratio, 1e-9))
    return weight


def _depth_residual(solution: Solution) -> F64:
    """Depth of the events in units of their prior."""
    middle, spread = _DEPTH_PRIOR_KM
    residual: F64 = (middle - solution.hypocentre[:, 3]) / spread
    return residual


def event_misfits(solution: Solution, precision: Precision) -> F64:
    """Twice the negative log likelihood of each event."""
    squares, _ = _squares(solution, precision.matrix)
    misfit: F64 = precision.event_weight * (squares + _depth_residual(solution) ** 2)
    return misfit


def _delay_precision(observed: Observed) -> F64:
    """Inverse prior covariance of the delays of places."""
    size = _SITE_DELAY_S[observed.phase]
    covariance = size[:, None] * size * observed.kernel + 1e-6 * np.eye(len(size))
    inverse: F64 = np.linalg.inv(covariance)
    return inverse


def objective(observed: Observed, solution: Solution, precision: Precision) -> float:
    """Twice the negative log posterior."""
    delay = solution.delay_s @ _delay_precision(observed) @ solution.delay_s
    prior = float(solution.parameters @ solution.parameters)
    return float(event_misfits(solution, precision).sum() + delay + prior)


@dataclass(frozen=True)
class _Normal:
    """Normal equations of one step: of each event (4), and of what events share (5 parameters, delays)."""

    own: F64  # (events, 4, 4)
    own_slope: F64  # (events, 4)
    cross: F64  # (events, 4, shared)
    shared: F64  # (shared, shared)
    shared_slope: F64  # (shared,)


def _normal(observed: Observed, solution: Solution, precision: Precision, *, fixed: bool) -> _Normal:
    """Sum the normal equations, those of the ground unless it is `fixed`."""
    by_parameter = np.empty((*solution.time_s.shape, 0)) if fixed else _by_parameter(observed, solution)
    weight = precision.matrix * precision.event_weight[:, None, None]
    matrix, slope, rows = _own_normal(solution, precision)
    columns = np.broadcast_to(np.eye(len(observed.phase)), weight.shape)
    shared = np.concatenate([by_parameter, columns], axis=2)
    shared_rows = np.swapaxes(shared, 1, 2) @ weight
    number = by_parameter.shape[2]
    prior = np.zeros((shared.shape[2],) * 2)
    prior[:number, :number] = np.eye(number)
    prior[number:, number:] = _delay_precision(observed)
    state = np.concatenate([solution.parameters[:number], solution.delay_s])
    return _Normal(
        matrix,
        slope,
        rows @ shared,
        (shared_rows @ shared).sum(axis=0) + prior,
        (shared_rows @ solution.residual_s[:, :, None]).sum(axis=0)[:, 0] - prior @ state,
    )


def _by_parameter(observed: Observed, solution: Solution) -> F64:
    """Differentiate the travel times by the parameters: (events, columns, 5)."""
    out = np.empty((*solution.time_s.shape, len(solution.parameters)))
    for index in range(out.shape[2]):
        changed = solution.parameters.copy()
        changed[index] += _CHANGE
        table = observed.ground_table(changed)
        moved, _ = observed.predict(table, solution.hypocentre[:, 1:])
        out[:, :, index] = (moved - solution.time_s) / _CHANGE
    return out


def solve(observed: Observed, solution: Solution, precision: Precision, *, fixed: bool = False) -> Solution:
    """Improve a solution by damped Gauss-Newton steps, its ground included unless it is `fixed`.

    Events are located anew after each step, because place and velocity trade off along curved valleys.
    """
    solution = locate(observed, solution, precision)
    damping, value = 1e-2, objective(observed, solution, precision)
    normal = None
    for _ in range(_FIXED_STEPS if fixed else _STEPS):
        normal = normal or _normal(observed, solution, precision, fixed=fixed)
        trial = _trial(observed, solution, normal, precision, damping)
        new = objective(observed, trial, precision)
        if new > value:
            damping = max(10.0 * damping, 1.0)
            continue
        gain = value - new
        solution, value, normal, damping = trial, new, None, 0.1 * damping
        if gain < _SMALL_GAIN:
            break
    return solution


def _trial(
    observed: Observed, solution: Solution, normal: _Normal, precision: Precision, damping: float
) -> Solution:
    """Take one step of everything, and locate the events anew."""
    step, own_step = _step(normal, damping)
    number = len(step) - len(observed.phase)
    parameters = solution.parameters.copy()
    parameters[:number] += np.clip(step[:number], -1.0, 1.0)
    hypocentre = _inside(observed, solution.hypocentre, solution.hypocentre + own_step)
    table = observed.ground_table(parameters) if number else solution.table
    trial = evaluate(observed, parameters, table, hypocentre, solution.delay_s + step[number:])
    return locate(observed, trial, precision)


def _step(normal: _Normal, damping: float) -> tuple[F64, F64]:
    """Solve for the step of what events share, and of every event (Schur complement)."""
    own = normal.own.copy()
    own[:, np.arange(4), np.arange(4)] *= 1.0 + 1e-3
    back = np.linalg.solve(own, np.concatenate([normal.own_slope[:, :, None], normal.cross], axis=2))
    shared = normal.shared - np.einsum("eis,eit->st", normal.cross, back[:, :, 1:], optimize=True)
    slope = normal.shared_slope - np.einsum("eis,ei->s", normal.cross, back[:, :, 0])
    shared[np.diag_indices(len(shared))] *= 1.0 + damping
    step = np.linalg.solve(shared, slope)
    return step, back[:, :, 0] - back[:, :, 1:] @ step


def misfit_scale(solution: Solution, precision: Precision) -> float:
    """Tell how much larger the squared residuals are than their covariances say; at least 1."""
    squares, freedom = _squares(solution, precision.matrix)
    weight = precision.event_weight
    return max(1.0, float((weight * squares).sum() / (weight * freedom).sum()))


def parameter_covariance(observed: Observed, solution: Solution, precision: Precision) -> F64:
    """Posterior covariance (5, 5) of the parameters, hypocentres and delays free."""
    normal = _normal(observed, solution, precision, fixed=False)
    back = np.linalg.solve(normal.own, normal.cross)
    schur = normal.shared - np.einsum("eis,eit->st", normal.cross, back, optimize=True)
    number = len(solution.parameters)
    covariance: F64 = np.linalg.inv(schur)[:number, :number]
    return covariance
