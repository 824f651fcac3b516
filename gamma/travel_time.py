"""Travel times and their gradients, in a homogeneous or a 1-D layered model.

Layered models are eikonal tables (fteikpy), interpolated with their gradients. The tables hold travel time
over straight distance, the mean slowness of the path. It is smooth where travel time has a kink (at the
source), so that linear interpolation costs little.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gamma.config import AssociationConfig, Layer
from gamma.errors import ConfigError

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_TARGET_CELLS = 600.0
_MIN_STEP_KM = 0.05
_LEVEL_KM = 0.25
_ROUND_STEPS_KM = (2.0, 1.0, 0.5, 0.25, 0.2, 0.1, 0.05)
_MAX_LEVELS = 25
_FEW_LEVELS = 5


@dataclass(frozen=True)
class HomogeneousModel:
    """Straight rays at one P and one S velocity."""

    vp_km_s: float
    vs_km_s: float

    @property
    def slowest_km_s(self) -> tuple[float, float]:
        """Smallest P and S velocity (km/s)."""
        return self.vp_km_s, self.vs_km_s

    def times(self, source_km: F64, receiver_km: F64, phase: I64) -> F64:
        """Travel times (s) of paired sources and receivers; arrays broadcast, last axis x, y, z."""
        slowness = np.array([1.0 / self.vp_km_s, 1.0 / self.vs_km_s])
        offset = source_km - receiver_km
        distance: F64 = np.sqrt(np.einsum("...i,...i->...", offset, offset))
        return distance * slowness[phase]

    def times_and_gradients(self, source_km: F64, receiver_km: F64, phase: I64) -> tuple[F64, F64]:
        """Travel times (s), shape (n,), and gradients by the source position (s/km), shape (n, 3)."""
        slowness = np.array([1.0 / self.vp_km_s, 1.0 / self.vs_km_s])[phase]
        offset = source_km - receiver_km
        distance = np.sqrt(np.einsum("...i,...i->...", offset, offset))
        gradient = offset * (slowness / np.maximum(distance, 1e-9))[..., None]
        return distance * slowness, gradient


@dataclass(frozen=True)
class LayeredModel:
    """Interpolated tables of mean slowness."""

    slowness: F64 = field(repr=False)  # (2, levels, depths, ranges)
    level_km: tuple[float, float]
    depth_km: tuple[float, float]
    range_km: tuple[float, float]
    slowest_km_s: tuple[float, float]

    def times(self, source_km: F64, receiver_km: F64, phase: I64) -> F64:
        """Travel times (s) of sources and receivers; arrays broadcast, last axis x, y, z."""
        shape = np.broadcast_shapes(source_km.shape[:-1], receiver_km.shape[:-1], phase.shape)
        source, receiver = (
            np.broadcast_to(xyz, (*shape, 3)).reshape(-1, 3) for xyz in (source_km, receiver_km)
        )
        phase = np.broadcast_to(phase, shape).ravel()
        return self.times_and_gradients(source, receiver, phase)[0].reshape(shape)

    def times_and_gradients(self, source_km: F64, receiver_km: F64, phase: I64) -> tuple[F64, F64]:
        """Travel times (s), shape (n,), and gradients by the source position (s/km), shape (n, 3)."""
        offset = source_km - receiver_km
        horizontal = np.hypot(offset[:, 0], offset[:, 1])
        distance = np.maximum(np.hypot(horizontal, offset[:, 2]), 1e-9)
        slowness, by_depth, by_range = self._interpolate(
            receiver_km[:, 2], source_km[:, 2], horizontal, phase
        )
        gradient = offset * (slowness / distance)[:, None]
        gradient[:, :2] += offset[:, :2] * (by_range * distance / np.maximum(horizontal, 1e-9))[:, None]
        gradient[:, 2] += by_depth * distance
        return slowness * distance, gradient

    def _interpolate(self, level: F64, depth: F64, range_: F64, phase: I64) -> tuple[F64, F64, F64]:
        """Mean slowness and its derivatives by source depth and epicentral distance."""
        _, levels, depths, ranges = self.slowness.shape
        i, a = _place(level, self.level_km, levels)
        j, b = _place(depth, self.depth_km, depths)
        k, c = _place(range_, self.range_km, ranges)
        flat = self.slowness.ravel()
        base = ((phase * levels + i) * depths + j) * ranges + k
        up, down, right = (levels > 1) * depths * ranges, ranges, 1

        def corner(di: int, dj: int, dk: int) -> F64:
            return flat[base + di * up + dj * down + dk * right]

        near = [(1.0 - a) * corner(0, dj, dk) + a * corner(1, dj, dk) for dj in (0, 1) for dk in (0, 1)]
        top, bottom = (1.0 - c) * near[0] + c * near[1], (1.0 - c) * near[2] + c * near[3]
        along = (1.0 - b) * (near[1] - near[0]) + b * (near[3] - near[2])
        value: F64 = (1.0 - b) * top + b * bottom
        return value, (bottom - top) / self.depth_km[1], along / self.range_km[1]


TravelTimeModel = HomogeneousModel | LayeredModel


def _place(value: F64, axis: tuple[float, float], size: int) -> tuple[I64, F64]:
    """Cell and position within it; values beyond the table take its edge."""
    if size == 1:
        return np.zeros(len(value), np.int64), np.zeros(len(value))
    position = np.clip((value - axis[0]) / axis[1], 0.0, size - 1.0)
    cell = np.minimum(position.astype(np.int64), size - 2)
    return cell, position - cell


_cache: dict[str, LayeredModel] = {}


def layered_model(
    layers: tuple[Layer, ...],
    receiver_depth_km: F64,
    depth_range_km: tuple[float, float],
    max_range_km: float,
) -> LayeredModel:
    """Make the tables, or take them from the cache."""
    high, low = float(receiver_depth_km.min()), float(receiver_depth_km.max())
    levels = int(np.clip(np.ceil((low - high) / _LEVEL_KM), 0, _MAX_LEVELS - 1)) + 1
    step = max(
        _MIN_STEP_KM, max(low - high, depth_range_km[1] - depth_range_km[0], max_range_km) / _TARGET_CELLS
    )
    dz = _vertical_step(layers, step)
    top = float(np.floor(min(high, depth_range_km[0]) / dz) * dz)
    # Head waves run along layers below the deepest source; none comes back from deeper than half the range.
    deeper = [layer.depth_km + 2.0 * dz for layer in layers if layer.depth_km < 0.5 * max_range_km]
    bottom = max(low, depth_range_km[1], *deeper)
    shape = (int(np.ceil((bottom - top) / dz)) + 1, int(np.ceil(max_range_km / step)) + 1)
    text = repr((layers, round(high, 6), round(low, 6), levels, round(top, 6), round(step, 9), dz, shape))
    key = hashlib.sha256(text.encode()).hexdigest()
    if key not in _cache:
        _cache[key] = _solve(layers, np.linspace(high, low, levels), top, (dz, step), shape)
    return _cache[key]


def _vertical_step(layers: tuple[Layer, ...], step_km: float) -> float:
    """Largest round step that puts every layer boundary on a node: head waves run along boundaries."""
    tops = np.array([layer.depth_km for layer in layers[1:]])
    for dz in _ROUND_STEPS_KM:
        if dz <= 1.5 * step_km and np.allclose(tops / dz, np.round(tops / dz), atol=1e-6):
            return dz
    return _ROUND_STEPS_KM[-1]


def _solve(
    layers: tuple[Layer, ...],
    level_km: F64,
    top_km: float,
    steps_km: tuple[float, float],
    shape: tuple[int, int],
) -> LayeredModel:
    from fteikpy import Eikonal2D

    velocities = np.array([[layer.vp_km_s, layer.vs_km_s] for layer in layers])
    slowness = np.empty((2, len(level_km), shape[0] + 1, shape[1] + 1))
    dz, dx = steps_km
    depth = top_km + dz * np.arange(shape[0] + 1)
    horizontal = dx * np.arange(shape[1] + 1)
    for phase in (0, 1):
        column = 1.0 / _cell_slowness(layers, velocities[:, phase], top_km, dz, shape[0])
        solver = Eikonal2D(
            np.repeat(column[:, None], shape[1], axis=1), gridsize=(dz, dx), origin=(top_km, 0.0)
        )
        for index, level in enumerate(level_km):
            time = np.asarray(solver.solve((_off_node(float(level), top_km, dz), 0.0)).grid)
            distance = np.hypot(depth[:, None] - level, horizontal[None])
            close = distance < 0.5 * min(dz, dx)
            local = 1.0 / column[int(np.clip((level - top_km) / dz, 0, shape[0] - 1))]
            slowness[phase, index] = np.where(close, local, time / np.where(close, 1.0, distance))
    gap = float(level_km[1] - level_km[0]) if len(level_km) > 1 else 1.0
    _refuse_failed(slowness, velocities)
    return LayeredModel(
        slowness,
        (float(level_km[0]), gap),
        (top_km, dz),
        (0.0, dx),
        (float(velocities[:, 0].min()), float(velocities[:, 1].min())),
    )


def _off_node(level_km: float, top_km: float, dz_km: float) -> float:
    """Move a source that is on a node but for rounding, where the solver fails, by a thousandth of a cell."""
    place = (level_km - top_km) / dz_km
    near = abs(place - round(place)) < 1e-4
    return top_km + dz_km * (max(round(place), 0) + 1e-3) if near else level_km


def _refuse_failed(slowness: F64, velocities: F64) -> None:
    """Refuse tables with travel times outside what the velocities allow."""
    for phase in (0, 1):
        low, high = 0.9 / velocities[:, phase].max(), 1.1 / velocities[:, phase].min()
        if not ((slowness[phase] > low) & (slowness[phase] < high)).all():
            raise ConfigError(
                "layers: the eikonal solver failed (travel times do not fit the velocities). "
                "Change a layer depth or the search box slightly."
            )


def _cell_slowness(
    layers: tuple[Layer, ...], velocity: F64, top_km: float, step_km: float, cells: int
) -> F64:
    """Mean slowness of every cell of a column, layer boundaries inside cells included."""
    edges = top_km + step_km * np.arange(cells + 1)
    tops = np.array([layer.depth_km for layer in layers[1:]])
    knots = np.concatenate([[-np.inf], tops, [np.inf]])
    out = np.zeros(cells)
    for layer, speed in enumerate(velocity):
        inside = np.clip(edges, knots[layer], knots[layer + 1])
        out += np.diff(inside) / step_km / speed
    return out


def make_model(config: AssociationConfig, receiver_km: F64, lower_km: F64, upper_km: F64) -> TravelTimeModel:
    """Make the velocity model of the settings: rays where velocities grow with depth, else the eikonal."""
    if config.layers is None:
        return HomogeneousModel(*config.homogeneous_km_s)
    places = receiver_km[:, :2]
    far = np.maximum(np.abs(upper_km[:2] - places.min(axis=0)), np.abs(places.max(axis=0) - lower_km[:2]))
    depths, reach = (float(lower_km[2]), float(upper_km[2])), float(np.hypot(*far))
    if not _grows_with_depth(config.layers):
        return layered_model(config.layers, receiver_km[:, 2], depths, reach)
    from gamma.ground import travel_time_table

    high, low = float(receiver_km[:, 2].min()), float(receiver_km[:, 2].max())
    levels = np.linspace(high, low, 1 + min(int(np.ceil((low - high) / _LEVEL_KM)), _FEW_LEVELS - 1))
    return travel_time_table(config.layers, levels, (depths[0], max(depths[1], depths[0] + 1.0)), reach)


def _grows_with_depth(layers: tuple[Layer, ...]) -> bool:
    """Whether P and S velocities grow from each layer to the next."""
    velocity = np.array([[layer.vp_km_s, layer.vs_km_s] for layer in layers])
    return bool((np.diff(velocity, axis=0) > 0.0).all())
