"""A simulated recording, made on demand: any samples can be made at any time, and are always the same."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError
from phasenet_das.io.recording import Recording, recording_of_function
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.geometry import Cable, make_cable
from phasenet_das.simulate.motion import EventModel, EventMotion
from phasenet_das.simulate.noise import NoiseModel
from phasenet_das.simulate.sources import Event, draw_events, events_of
from phasenet_das.simulate.traffic import TrafficModel

_CACHE_BYTES = 400_000_000


class Simulation:
    """A simulated recording that is made on demand.

    Parameters
    ----------
    seed : int
        Equal seeds give equal recordings, bit by bit, however they are cut.

    Attributes
    ----------
    cable : Cable
        The cable.
    events : pandas.DataFrame
        Everything that radiates: the table of ``sources.draw_events`` with ``first_s`` and ``num_samples``.

    Raises
    ------
    ConfigError
        The seed is negative, or the sampling rate too low for the file length.
    """

    def __init__(self, config: SimulationConfig, seed: int) -> None:
        if seed < 0:
            raise ConfigError(f"the seed must be 0 or more, found {seed}.")
        self.config, self.seed = config, seed
        self.cable: Cable = make_cable(config.cable, seed)
        self.events: pd.DataFrame = draw_events(config, self.cable, seed)
        self._events = events_of(self.events)
        self._model = EventModel(config, self.cable, seed)
        self._noise = NoiseModel(config, self.cable, seed)
        self._traffic = TrafficModel(config, self.cable, seed)
        self.arrivals = [self._model.arrivals(event) for event in self._events]
        self._extent = [
            self._model.extent(event, times) for event, times in zip(self._events, self.arrivals, strict=True)
        ]
        self._cache: OrderedDict[int, EventMotion] = OrderedDict()

    @property
    def dead(self) -> np.ndarray:
        """Dead channels, shape (channel,), bool."""
        return self._noise.dead

    @property
    def start_time(self) -> pd.Timestamp:
        """UTC time of the first sample."""
        stamp = pd.Timestamp(self.config.start_time)
        return (stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")).as_unit("ns")

    def event(self, index: int) -> Event:
        """Return the event of an ``event_index``."""
        return self._events[index]

    def overlapping(self, start_sample: int, stop_sample: int) -> list[int]:
        """List the ``event_index``, rising, of the events whose motion touches ``[start, stop)``."""
        return [
            index
            for index, (first, num) in enumerate(self._extent)
            if first < stop_sample and first + num > start_sample
        ]

    def motion(self, index: int) -> EventMotion:
        """Make (or recall) the noise-free ground motion of one event; the last few are kept in memory."""
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        made = self._model.motion(self._events[index])
        self._cache[index] = made
        while len(self._cache) > 1 and sum(s.data.nbytes for s in self._cache.values()) > _CACHE_BYTES:
            self._cache.popitem(last=False)
        return made

    def samples(self, start_sample: int, num_samples: int) -> np.ndarray:
        """Make samples of all channels, counted from the start; they may begin a little before it.

        Returns (channel, time) float32, strain rate in 1/s.
        """
        out = np.zeros((self.cable.num_channels, num_samples), np.float32)
        self._noise.add(out, start_sample)
        self._traffic.add(out, start_sample)
        for index in self.overlapping(start_sample, start_sample + num_samples):
            motion = self.motion(index)
            low = max(start_sample, motion.start_sample)
            high = min(start_sample + num_samples, motion.end_sample)
            part = motion.data[:, low - motion.start_sample : high - motion.start_sample]
            out[:, low - start_sample : high - start_sample] += part
        self._noise.silence(out)
        return out

    def recording(self) -> Recording:
        """Return the whole as a recording whose samples are made when they are loaded."""
        return recording_of_function(
            lambda channels, samples: self.samples(samples.start, samples.stop - samples.start)[channels],
            num_samples=self.config.num_samples,
            start_time=self.start_time.tz_convert(None).to_datetime64(),
            dt_s=1.0 / self.config.sampling_rate_hz,
            channel_index=self.cable.channel_index,
            distance_m=self.cable.distance_m,
            label=f"simulation, seed {self.seed}",
            station_id=self.cable.station_id,
            unit="1/s",
            gauge_length_m=self.cable.gauge_length_m,
        )
