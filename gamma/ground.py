"""Layered models of unknown ground: a family with a stated prior, and fast tables of their travel times.

Velocity at depth is much alike everywhere, velocity near the surface is not. P velocity rises from its value
at the surface to that of the crust over some kilometres. The mean crust follows Christensen & Mooney (1995).
S velocity follows P velocity as in Brocher (2005), times a factor that makes vp/vs at depth that of the mean
crust, 1.75 to 1.77 (Zandt & Ammon 1995, Christensen 1996).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gamma.config import Layer
from gamma.travel_time import LayeredModel

F64 = npt.NDArray[np.float64]

NUM_PARAMETERS = 5
# Surface P velocity (km/s), depth scale of its rise (km), velocity of the crust, vp/vs, and the strength of
# the rise of vp/vs in slow rock. Medians, and standard deviations of their logarithms.
_MEDIAN = np.array([3.0, 3.0, 1.0, 1.035, 0.9])
_SPREAD = np.array([0.5, 0.5, 0.03, 0.02, 0.3])
_CRUST_KM_S, _CRUST_GRADIENT = 5.8, 0.03
_MANTLE_KM, _MANTLE_KM_S = 35.0, 7.9
_TOPS_KM = np.array([0.0, 0.5, 1.0, 2.0, 3.0, 4.5, 6.5, 9.0, 13.0, 18.0, 25.0])
_POISSON_RATIO = 1.73
_ANGLES = np.linspace(0.0, 0.5 * np.pi, 37)
_STEP_KM = 0.5
_RANGES = 160.0


def ground(parameters: F64, surface_km: float) -> tuple[Layer, ...]:
    """Make the layers of one member of the family from its parameters (5,) in units of the prior."""
    surface, rise_km, crust, ratio, excess = _MEDIAN * np.exp(_SPREAD * parameters)
    base = 0.5 * np.floor(2.0 * surface_km)
    tops = base + _TOPS_KM
    bottoms = np.append(tops[1:], base + _MANTLE_KM)
    upper, lower = np.maximum(tops, surface_km) - surface_km, np.maximum(bottoms - surface_km, 1e-3)
    middle = 0.5 * (upper + lower)
    deep = crust * (_CRUST_KM_S + _CRUST_GRADIENT * middle)
    start = min(surface, 0.97 * crust * _CRUST_KM_S)
    share = rise_km * (np.exp(-upper / rise_km) - np.exp(-lower / rise_km)) / np.maximum(lower - upper, 1e-6)
    vp = np.maximum.accumulate(deep - (crust * _CRUST_KM_S - start) * share)
    vp_vs = ratio * _POISSON_RATIO * (brocher_ratio(vp) / _POISSON_RATIO) ** excess
    vs = np.maximum.accumulate(vp / np.clip(vp_vs, 1.45, 5.0))
    rows = [*zip(tops, vp, vs, strict=True), (base + _MANTLE_KM, _MANTLE_KM_S, _MANTLE_KM_S / 1.76)]
    return tuple(
        Layer(depth_km=float(top), vp_km_s=round(float(p), 4), vs_km_s=round(float(s), 4))
        for top, p, s in rows
    )


def brocher_ratio(vp_km_s: F64) -> F64:
    """Give vp/vs of crustal rock from its P velocity (Brocher 2005, eq. 6)."""
    vp = np.clip(vp_km_s, 1.5, 8.0)
    vs = np.polyval([0.0064, -0.1238, 0.7949, -1.2344, 0.7858], vp)
    ratio: F64 = vp / np.maximum(vs, 0.25)
    return ratio


DEFAULT_CRUST: tuple[Layer, ...] = ground(np.zeros(NUM_PARAMETERS), 0.0)
"""The prior's median with the surface at sea level."""


def travel_time_table(
    layers: tuple[Layer, ...], level_km: F64, depth_range_km: tuple[float, float], max_range_km: float
) -> LayeredModel:
    """Tabulate first arrivals, direct and head waves, of velocities that grow with depth.

    `level_km` (levels,) are equally spaced receiver depths. Direct waves are the largest value of
    ``p x + tau(p)`` over the horizontal slowness p (Aki & Richards 2002, section 9.3).
    """
    step = max(_STEP_KM, max_range_km / _RANGES)
    depth = np.arange(depth_range_km[0], depth_range_km[1] + _STEP_KM, _STEP_KM)
    range_ = np.arange(0.0, max_range_km + 2.0 * step, step)
    level, source = (grid.ravel() for grid in np.meshgrid(level_km, depth, indexing="ij"))
    tops = np.array([-np.inf, *(layer.depth_km for layer in layers[1:])])
    thickness = _thickness(np.minimum(level, source), np.maximum(level, source), tops)
    distance = np.hypot(range_, (source - level)[:, None])
    slowness = np.empty((2, len(level), len(range_)))
    for phase, name in enumerate(("vp_km_s", "vs_km_s")):
        speed = np.array([getattr(layer, name) for layer in layers])
        time = _direct(thickness, np.maximum(level, source), range_, tops, speed)
        time = np.minimum(time, _head(level, source, range_, tops, speed))
        local = 1.0 / speed[np.searchsorted(tops, level, side="right") - 1]
        close = distance < 1e-3
        slowness[phase] = np.where(close, local[:, None], time / np.where(close, 1.0, distance))
    gap = float(level_km[1] - level_km[0]) if len(level_km) > 1 else 1.0
    slowest = (min(layer.vp_km_s for layer in layers), min(layer.vs_km_s for layer in layers))
    shape = (2, len(level_km), len(depth), len(range_))
    return LayeredModel(
        slowness.reshape(shape),
        (float(level_km[0]), gap),
        (float(depth[0]), _STEP_KM),
        (0.0, float(step)),
        slowest,
    )


def _thickness(upper_km: F64, lower_km: F64, tops_km: F64) -> F64:
    """Thickness of each layer between two depths: (n, layers)."""
    bottoms = np.append(tops_km[1:], np.inf)
    between = np.minimum(lower_km[:, None], bottoms) - np.maximum(upper_km[:, None], tops_km)
    return np.maximum(between, 0.0)


def _direct(thickness: F64, deeper_km: F64, range_km: F64, tops_km: F64, speed: F64) -> F64:
    """Compute times (n, ranges) of direct waves."""
    time = np.empty((len(thickness), len(range_km)))
    fastest = np.searchsorted(tops_km, deeper_km, side="left") - 1
    for layer in np.unique(fastest):
        rows = np.flatnonzero(fastest == layer)
        p = np.sin(_ANGLES) / speed[layer]
        tau = thickness[rows] @ np.sqrt(np.maximum(speed[:, None] ** -2.0 - p**2, 0.0))
        best = tau[:, :1] + p[0] * range_km
        for column in range(1, len(p)):
            np.maximum(best, tau[:, column, None] + p[column] * range_km, out=best)
        time[rows] = best
    return time


def _head(level_km: F64, source_km: F64, range_km: F64, tops_km: F64, speed: F64) -> F64:
    """Compute times (n, ranges) of the fastest head wave; infinite where there is none."""
    best = np.full((len(level_km), len(range_km)), np.inf)
    for layer, top in enumerate(tops_km[1:], start=1):
        rows = np.flatnonzero((level_km <= top) & (source_km <= top))
        if len(rows) == 0 or speed[layer] <= speed[:layer].max() + 1e-9:
            continue
        above = np.full(len(rows), top)
        legs = _thickness(level_km[rows], above, tops_km) + _thickness(source_km[rows], above, tops_km)
        root = np.sqrt(np.maximum(speed[:layer] ** -2.0 - speed[layer] ** -2.0, 1e-12))
        critical = legs[:, :layer] @ (1.0 / (speed[layer] * root))
        time = (legs[:, :layer] @ root)[:, None] + range_km / speed[layer]
        best[rows] = np.minimum(best[rows], np.where(range_km >= critical[:, None], time, np.inf))
    return best
