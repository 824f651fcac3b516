"""Noise of real recordings, stretched over any cable and any length by crossfading random pieces."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from phasenet_das.errors import ConfigError, MissingMetadataError
from phasenet_das.simulate.config import SimulationConfig
from phasenet_das.simulate.seeds import generator

_ENDINGS = (".h5", ".hdf5", ".tdms", ".sgy", ".segy")


def load_noise(folder: str | Path, sampling_rate_hz: float) -> list[np.ndarray]:
    """Read every recording of a folder and bring it to one sampling rate.

    Returns (channel, time) float32.
    """
    from phasenet_das import io

    records = []
    for path in sorted(Path(folder).iterdir()):
        if path.suffix.lower() not in _ENDINGS:
            continue
        try:
            patch = io.read(path)
        except MissingMetadataError:  # when it was recorded does not matter here
            patch = io.read(path, start_time="1970-01-01")
        data = _resample(io.get_data(patch), 1.0 / io.get_dt_s(patch), sampling_rate_hz)
        data = data - data.mean(axis=1, keepdims=True)
        rms = data.std(axis=1)
        live = np.isfinite(rms) & (rms > 0)
        if live.sum() >= 2 and data.shape[1] >= 64:
            records.append((data[live] / np.median(rms[live])).astype(np.float32))
    if not records:
        raise ConfigError(f"{folder}: no recording with two live channels. Give a folder of DAS files.")
    return records


def _resample(data: np.ndarray, from_hz: float, to_hz: float) -> np.ndarray:
    up, down = round(to_hz * 100), round(from_hz * 100)
    common = int(np.gcd(up, down))
    out: np.ndarray = resample_poly(data, up // common, down // common, axis=1)
    return out


class RealNoise:
    """Random pieces of real recordings, laid over patches and blocks.

    `records` (channel, time) float32.
    """

    def __init__(self, records: list[np.ndarray], rms: float, seed: int) -> None:
        self._records, self._rms, self._seed = records, np.float32(rms), seed

    @classmethod
    def open(cls, config: SimulationConfig, seed: int) -> RealNoise:
        """Read the folder named in the settings."""
        folder = str(config.noise.real_noise_dir)
        return cls(load_noise(folder, config.sampling_rate_hz), config.noise.real_noise_rms, seed)

    def block(self, block: int, patch: int, num_channels: int, num_samples: int) -> np.ndarray:
        """Make the noise of one block and patch.

        Returns (num_channels, num_samples) float32.
        """
        rng = generator(self._seed, "real-noise", block, patch)
        record = self._records[int(rng.integers(len(self._records)))]
        return self._rms * fill(record, num_channels, num_samples, rng)


def fill(record: np.ndarray, num_channels: int, num_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Stretch a recording over a shape: mirrored along the cable, random pieces crossfaded in time.

    `record` (channel, time) float32. Returns (num_channels, num_samples) float32.
    """
    rows, length = record.shape
    place = (int(rng.integers(rows)) + np.arange(num_channels)) % (2 * rows)
    place = np.where(place < rows, place, 2 * rows - 1 - place)
    piece = min(length, num_samples)
    fade = max(1, piece // 8)
    ramp = np.sin(0.5 * np.pi * (np.arange(fade) + 0.5) / fade).astype(np.float32)
    out = np.zeros((num_channels, num_samples + 2 * piece), np.float32)
    window = np.concatenate([ramp, np.ones(piece - 2 * fade, np.float32), ramp[::-1]])
    for start in range(0, num_samples + piece, piece - fade):
        offset = int(rng.integers(0, length - piece + 1))
        crop = record[:, offset : offset + piece] * window * rng.choice([-1, 1]).astype(np.float32)
        out[:, start : start + piece] += crop[place]
    return out[:, fade : fade + num_samples]
