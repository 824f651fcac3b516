"""One training sample: a piece of a recording, and what is known about its arrivals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasenet_das.errors import DataFormatError

PHASES = ("P", "S")
"""Phases along the second axis of ``Sample.arrivals``."""


@dataclass(frozen=True)
class Sample:
    """Samples and arrivals of one piece of cable and time.

    Attributes
    ----------
    data : numpy.ndarray, shape (channel, time), float32
        Samples.
    arrivals : numpy.ndarray, shape (event, 2, channel), float64
        P and S of each event, in samples after the first of `data`; they may lie outside. NaN: nobody
        knows. Infinity: it is known that the arrival is not in these data.
    confidence : numpy.ndarray, shape (event, 2, channel), float32
        Weight of each arrival in the loss, from 0 to 1.
    rejected : numpy.ndarray, shape (layer, channel), float64
        Picks that were not kept, in samples; NaN fills channels with fewer than others.
    live : numpy.ndarray, shape (channel,), bool
        Channels that count; dead and padded ones are out of the loss.
    dt_s : float
        Sampling interval.
    dx_m : float
        Channel spacing; NaN when unknown.

    Raises
    ------
    DataFormatError
        Shapes contradict each other.
    """

    data: np.ndarray
    arrivals: np.ndarray
    confidence: np.ndarray
    rejected: np.ndarray
    live: np.ndarray
    dt_s: float
    dx_m: float = float("nan")

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong together."""
        n = len(self.data)
        shapes = (self.arrivals.shape[1:], self.confidence.shape, self.rejected.shape[1:], self.live.shape)
        if self.data.ndim != 2 or shapes != ((2, n), self.arrivals.shape, (n,), (n,)):
            raise DataFormatError(
                f"sample: data {self.data.shape}, arrivals {self.arrivals.shape}, confidence "
                f"{self.confidence.shape}, rejected {self.rejected.shape}, live {self.live.shape}. Expected "
                "(channel, time), twice (event, 2, channel), (layer, channel), (channel,)."
            )

    @classmethod
    def of(cls, data: np.ndarray, arrivals: np.ndarray, dt_s: float, dx_m: float = float("nan")) -> Sample:
        """Make a sample whose arrivals are all certain; constant channels are dead.

        Parameters
        ----------
        data : numpy.ndarray, shape (channel, time), float
            Samples.
        arrivals : numpy.ndarray, shape (event, 2, channel), float
            P and S in samples.
        dt_s, dx_m : float
            Sampling interval and channel spacing.
        """
        data = np.ascontiguousarray(data, np.float32)
        live = np.ptp(data, axis=1) > 0
        times = np.asarray(arrivals, np.float64)
        sure = np.ones(times.shape, np.float32)
        return cls(data, times, sure, np.empty((0, len(data))), live, dt_s, dx_m)
