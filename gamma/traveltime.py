"""Travel times and their gradients: homogeneous or layered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gamma.config import AssociationConfig

F64 = npt.NDArray[np.float64]


class TravelTimeModel(Protocol):
    """What the associator asks of a velocity model."""

    def times(self, source_km: F64, receiver_km: F64, phase: npt.NDArray[np.int64]) -> F64:
        """Travel times (s) of paired sources and receivers; phase 0 is P, 1 is S."""
        ...

    def times_and_gradients(
        self, source_km: F64, receiver_km: F64, phase: npt.NDArray[np.int64]
    ) -> tuple[F64, F64]:
        """Travel times (s), shape (n,), and their gradients by the source position (s/km), shape (n, 3)."""
        ...

    @property
    def fastest_km_s(self) -> tuple[float, float]:
        """Largest P and S velocity (km/s)."""
        ...

    @property
    def slowest_km_s(self) -> tuple[float, float]:
        """Smallest P and S velocity (km/s)."""
        ...


@dataclass(frozen=True)
class HomogeneousModel:
    """Straight rays at one P and one S velocity."""

    vp_km_s: float
    vs_km_s: float

    @property
    def fastest_km_s(self) -> tuple[float, float]:
        """Largest P and S velocity (km/s)."""
        return self.vp_km_s, self.vs_km_s

    @property
    def slowest_km_s(self) -> tuple[float, float]:
        """Smallest P and S velocity (km/s)."""
        return self.vp_km_s, self.vs_km_s

    def times(self, source_km: F64, receiver_km: F64, phase: npt.NDArray[np.int64]) -> F64:
        """Travel times (s) of paired sources and receivers; arrays broadcast, last axis x, y, z."""
        slowness = np.array([1.0 / self.vp_km_s, 1.0 / self.vs_km_s])
        offset = source_km - receiver_km
        distance: F64 = np.sqrt(np.einsum("...i,...i->...", offset, offset))
        return distance * slowness[phase]

    def times_and_gradients(
        self, source_km: F64, receiver_km: F64, phase: npt.NDArray[np.int64]
    ) -> tuple[F64, F64]:
        """Travel times (s), shape (n,), and gradients by the source position (s/km), shape (n, 3)."""
        slowness = np.array([1.0 / self.vp_km_s, 1.0 / self.vs_km_s])[phase]
        offset = source_km - receiver_km
        distance = np.sqrt(np.einsum("...i,...i->...", offset, offset))
        gradient = offset * (slowness / np.maximum(distance, 1e-9))[..., None]
        return distance * slowness, gradient


def make_model(config: AssociationConfig, receiver_km: F64, lower_km: F64, upper_km: F64) -> TravelTimeModel:
    """Make the velocity model that the settings ask for.

    `receiver_km` (receivers, 3); `lower_km` and `upper_km` (3,).
    """
    if config.layers is None:
        return HomogeneousModel(config.vp_km_s, config.s_velocity_km_s)
    from gamma.layered import layered_model

    places = receiver_km[:, :2]
    far = np.maximum(np.abs(upper_km[:2] - places.min(axis=0)), np.abs(places.max(axis=0) - lower_km[:2]))
    depths = (float(lower_km[2]), float(upper_km[2]))
    return layered_model(config.layers, receiver_km[:, 2], depths, float(np.hypot(*far)))
