"""The noise-free motion of one event: waves, coda, and the ground and coupling below each channel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft, rfft, rfftfreq

from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.fields import WavePopulation, num_wavenumbers, patches, smooth_series, wave_field
from phasenet_das.simulate.geometry import Cable
from phasenet_das.simulate.phases import Arrivals, PhaseModel
from phasenet_das.simulate.seeds import generator
from phasenet_das.simulate.sources import Event
from phasenet_das.simulate.waves import add_wave

_GROUP = 256  # channels transformed at a time: keeps temporary arrays small
_LEAD_S = 0.5  # silence before the first arrival, in units of 100 samples


@dataclass(frozen=True)
class EventMotion:
    """The ground motion of one event, as the fibre would record it without noise."""

    event: Event
    start_sample: int  # First sample, counted from the start of the recording; may be negative
    data: np.ndarray  # (channel, time) Strain rate in 1/s
    p_s: np.ndarray  # (channel,) First arrivals after the start of the recording, as s_s
    s_s: np.ndarray

    @property
    def end_sample(self) -> int:
        """First sample after the motion."""
        return self.start_sample + self.data.shape[1]


class EventModel:
    """Makes the motion of any event, the same whenever and wherever it is asked for."""

    def __init__(self, config: SimulationConfig, cable: Cable, seed: int) -> None:
        self._config, self._cable, self._seed = config, cable, seed
        self._phases = PhaseModel(config, cable, seed)
        self._population = WavePopulation(
            config.waves.slow_speed_m_s, config.waves.slow_speed_spread, cable.gauge_length_m, cable.dx_m
        )
        self._slow: tuple[int, np.ndarray] = (0, np.empty(0))
        self._draw_site()

    def _draw_site(self) -> None:
        waves, n = self._config.waves, self._cable.num_channels
        rng = generator(self._seed, "site")
        length = waves.site_length_m / self._cable.dx_m
        gauge = 0.4 * self._cable.gauge_length_m / self._cable.dx_m
        ground = smooth_series(rng, n, length) + 0.4 * smooth_series(rng, n, 0.15 * length)
        coupling = 0.7 * smooth_series(rng, n, gauge) + 0.7 * rng.standard_normal(n)
        decades = waves.site_amplification_dex * ground + waves.coupling_dex * coupling
        self._gain = np.where(self._cable.coupled, 10.0**decades, 0.0)
        self._scatter = 10.0 ** (0.2 * smooth_series(rng, n, 0.5 * length))
        rate = self._config.sampling_rate_hz
        self._resonance_hz = 0.08 * rate * np.exp(0.5 * smooth_series(rng, n, length))
        self._resonance_gain = waves.resonance_gain * np.abs(smooth_series(rng, n, length))

    def arrivals(self, event: Event) -> Arrivals:
        """Give the first arrivals of an event."""
        return self._phases.arrivals(event)

    def extent(self, event: Event, arrivals: Arrivals) -> tuple[int, int]:
        """Give the samples that an event's motion covers."""
        rate = self._config.sampling_rate_hz
        start = int(np.floor((event.origin_s + arrivals.p_s.min()) * rate - 100 * _LEAD_S))
        last = event.origin_s + arrivals.s_s.max() + self._coda_s(event, arrivals)
        return start, _transform_length(int(np.ceil(last * rate)) - start)

    def _coda_s(self, event: Event, arrivals: Arrivals) -> float:
        """Length of the coda behind S: grows with magnitude (as duration magnitudes do) and with S-P."""
        lag = float(np.median(arrivals.s_s - arrivals.p_s))
        length = max(10 ** (0.5 * (event.magnitude + 0.87)), 1.5 * lag)
        if event.source_type == "quarry_blast":
            length = max(length, 2.0 * float(arrivals.s_s.max()))
        return min(self._config.waves.max_coda_s, length)

    def motion(self, event: Event) -> EventMotion:
        """Make the motion of an event."""
        rate, n = self._config.sampling_rate_hz, self._cable.num_channels
        path = self._phases.path(event)
        arrivals = path.arrivals()
        start, n_t = self.extent(event, arrivals)
        freqs = rfftfreq(n_t, 1 / rate)
        begin_s = start / rate - event.origin_s
        waves = self._phases.waves(path, begin_s, freqs)
        data = self._coda(event, arrivals, path.spreading_km, begin_s, freqs, n_t)
        for low in range(0, n, _GROUP):
            group = slice(low, low + _GROUP)
            spectra = rfft(data[group], axis=1)
            for wave in waves:
                add_wave(spectra, wave.part(group), freqs, self._cable.gauge_length_m)
            data[group] = irfft(spectra * self._site_response(group, freqs), n_t, axis=1)
        self._shape_ends(data, arrivals.p_s - begin_s)
        return EventMotion(event, start, data, event.origin_s + arrivals.p_s, event.origin_s + arrivals.s_s)

    def _site_response(self, channels: slice, freqs_hz: np.ndarray) -> np.ndarray:
        """One plus a damped resonance, causal, times the coupling."""
        own = self._resonance_hz[channels, None]
        band = 1j * freqs_hz * own / 6.0
        response = 1 + self._resonance_gain[channels, None] * band / (own**2 - freqs_hz**2 + band)
        scaled: np.ndarray = (self._gain[channels, None] * response).astype(np.complex64)
        return scaled

    def _slow_waves(self, freqs_hz: np.ndarray, n_t: int) -> np.ndarray:
        if self._slow[0] != n_t:
            rows = num_wavenumbers(self._cable.num_channels)
            self._slow = (n_t, self._population.amplitude(self._seed, freqs_hz, rows))
        return self._slow[1]

    def _coda(
        self,
        event: Event,
        arrivals: Arrivals,
        spreading_km: np.ndarray,
        begin_s: float,
        freqs_hz: np.ndarray,
        n_t: int,
    ) -> np.ndarray:
        """Diffuse slow waves that begin with P and grow with S; high frequencies die out sooner."""
        rate, n = self._config.sampling_rate_hz, self._cable.num_channels
        corner = 0.06 * rate
        low_pass = 1 / (1 + (freqs_hz / corner) ** 4)
        spectra = self._coda_spectra(event, arrivals, freqs_hz)
        bands = [
            (phase, spectra[phase] * response, hertz)
            for phase in "PS"
            for response, hertz in ((low_pass, 0.5 * corner), (1 - low_pass, 2.0 * corner))
        ]
        amplitude = self._slow_waves(freqs_hz, n_t)
        data = np.zeros((n, n_t), np.float32)
        level = (2.0 * self._scatter / spreading_km).astype(np.float32)
        lag = float(np.median(arrivals.s_s - arrivals.p_s))
        for patch in patches(n):
            rng = generator(self._seed, "coda", event.index, patch.index)
            fields = wave_field(rng, amplitude, [band[1] for band in bands], n_t)
            onset = {"P": arrivals.p_s[patch.channels] - begin_s, "S": arrivals.s_s[patch.channels] - begin_s}
            for (phase, _, hertz), field in zip(bands, fields, strict=True):
                envelope = self._envelope(phase, onset[phase], hertz, lag, n_t)
                envelope *= patch.weight * level[patch.channels, None]
                data[patch.channels] += field[: len(envelope)] * envelope
        return data

    def _coda_spectra(self, event: Event, arrivals: Arrivals, freqs_hz: np.ndarray) -> dict[str, np.ndarray]:
        earth, waves, rate = self._config.earth, self._config.waves, self._config.sampling_rate_hz
        lag = float(np.median(arrivals.s_s - arrivals.p_s))
        spectra = {}
        for phase, time, quality, share, mean in (
            ("P", arrivals.p_s, earth.q_p, waves.scatter_p, 0.52),
            ("S", arrivals.s_s, earth.q_s, waves.scatter_s, 0.63),
        ):
            travel = float(np.median(time))
            t_star = travel / (quality * (1 + travel / 20.0)) + earth.kappa_s
            per_sample = share / (rate * (0.5 * lag + 10.0 / rate))
            spectrum = np.abs(self._phases.acceleration(phase, event, freqs_hz))
            spectra[phase] = np.sqrt(per_sample) * mean * spectrum * np.exp(-np.pi * freqs_hz * t_star)
        return spectra

    def _envelope(self, phase: str, onset_s: np.ndarray, hertz: float, lag_s: float, n_t: int) -> np.ndarray:
        rate = self._config.sampling_rate_hz
        after = (np.arange(n_t, dtype=np.float32) / np.float32(rate))[None, :] - onset_s[:, None].astype(
            np.float32
        )
        begun = after > 0
        np.maximum(after, 0, out=after)
        rise = 1 - np.exp(after * np.float32(-1.0 / (0.01 * lag_s + 3.0 / rate)))
        if phase == "P":
            decay = np.exp(after * np.float32(-1.0 / (1.2 * lag_s)))
        else:
            decay = np.exp(after * np.float32(-np.pi * hertz / self._config.waves.coda_q))
            decay *= (1 + after / np.float32(lag_s)) ** np.float32(-1.2)
        envelope: np.ndarray = np.where(begun, rise * decay, np.float32(0))
        return envelope

    def _shape_ends(self, data: np.ndarray, onset_s: np.ndarray) -> None:
        """Silence everything before P (what wraps round, what rings ahead), and fade out the end."""
        n_t = data.shape[1]
        sample = np.arange(n_t, dtype=np.float32)
        first = (onset_s * self._config.sampling_rate_hz).astype(np.float32)
        for low in range(0, len(data), _GROUP):
            group = slice(low, low + _GROUP)
            data[group] *= np.clip(sample - first[group, None] + 2.0, 0.0, 1.0)
        fade = max(1, n_t // 8)
        data[:, -fade:] *= (0.5 + 0.5 * np.cos(np.pi * np.arange(1, fade + 1) / fade)).astype(np.float32)


def _transform_length(num: int) -> int:
    """Smallest of 2**k and 3 * 2**k that holds a number of samples: few lengths, so tables are reused."""
    power = 1 << max(8, (num - 1).bit_length())
    return 3 * power // 4 if 3 * power // 4 >= num else power
