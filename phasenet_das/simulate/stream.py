"""A recording, chunk by chunk: any span can be made at any time, and is always the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import numpy as np
import pandas as pd

from phasenet_das.errors import ConfigError
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.geometry import Cable, make_cable
from phasenet_das.simulate.noise import NoiseModel
from phasenet_das.simulate.sections import EventModel, EventSection
from phasenet_das.simulate.sources import Event, draw_events, events_of
from phasenet_das.simulate.traffic import TrafficModel

_CACHE_BYTES = 400_000_000


class Recording:
    """A simulated recording that is made on demand.

    Parameters
    ----------
    config : SimulationConfig
        Settings.
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
        self._cache: OrderedDict[int, EventSection] = OrderedDict()

    @property
    def dead(self) -> np.ndarray:
        """Dead channels, shape (channel,), bool."""
        return self._noise.dead

    def event(self, index: int) -> Event:
        """Give one event.

        Parameters
        ----------
        index : int
            Its ``event_index``.

        Returns
        -------
        Event
            The event.
        """
        return self._events[index]

    def overlapping(self, start_sample: int, stop_sample: int) -> list[int]:
        """List the events whose motion touches a span.

        Parameters
        ----------
        start_sample, stop_sample : int
            Half-open span, counted from the start of the recording.

        Returns
        -------
        list of int
            Their ``event_index``, rising.
        """
        return [
            index
            for index, (first, num) in enumerate(self._extent)
            if first < stop_sample and first + num > start_sample
        ]

    def section(self, index: int) -> EventSection:
        """Make (or recall) the noise-free section of one event.

        Parameters
        ----------
        index : int
            Its ``event_index``.

        Returns
        -------
        EventSection
            The section; the last few are kept in memory.
        """
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        made = self._model.section(self._events[index])
        self._cache[index] = made
        while len(self._cache) > 1 and sum(s.data.nbytes for s in self._cache.values()) > _CACHE_BYTES:
            self._cache.popitem(last=False)
        return made

    def chunk(self, start_sample: int, num_samples: int) -> np.ndarray:
        """Make a span of the recording.

        Parameters
        ----------
        start_sample : int
            First sample, counted from the start of the recording; it may lie a little before it.
        num_samples : int
            Number of samples.

        Returns
        -------
        numpy.ndarray, shape (channel, time), float32
            Strain rate in 1/s.
        """
        out = np.zeros((self.cable.num_channels, num_samples), np.float32)
        self._noise.add(out, start_sample)
        self._traffic.add(out, start_sample)
        for index in self.overlapping(start_sample, start_sample + num_samples):
            section = self.section(index)
            low = max(start_sample, section.start_sample)
            high = min(start_sample + num_samples, section.end_sample)
            piece = section.data[:, low - section.start_sample : high - section.start_sample]
            out[:, low - start_sample : high - start_sample] += piece
        self._noise.silence(out)
        return out

    def chunks(self, samples: int) -> Iterator[tuple[int, np.ndarray]]:
        """Walk through the recording in bounded memory.

        Parameters
        ----------
        samples : int
            Length of a chunk.

        Yields
        ------
        tuple of int and numpy.ndarray
            First sample, and data of shape (channel, time).
        """
        total = self.config.num_samples
        for start in range(0, total, samples):
            yield start, self.chunk(start, min(samples, total - start))
