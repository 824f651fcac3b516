"""Views of a record and of its scores as PNG."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import xarray as xr
from PIL import Image

from phasenet_das.inspect.screen import View
from phasenet_das.plot.raster import channel_bins, reduce_time
from phasenet_das.plot.style import MISSING, PHASE_COLORS, amplitude_colormap

_SHADES = 254  # the last colour of the palette is of missing samples
_POWER = 0.8


def section_png(view: View, gain: float = 1.0) -> bytes:
    """Draw amplitudes in the colours of a section, time downward."""
    image = view.raster.image.T * np.float32(gain)
    shades = np.sign(image) * np.abs(image) ** _POWER
    missing = ~np.isfinite(shades)
    index = np.clip((np.where(missing, 0, shades) + 1) * (_SHADES / 2), 0, _SHADES)
    pixels = np.where(missing, 255, np.rint(index)).astype(np.uint8)
    picture = Image.fromarray(pixels)
    picture.putpalette(_palette())
    return _png(picture)


def scores_png(
    scores: xr.DataArray, channels: tuple[float, float], times: np.ndarray, width: int, height: int
) -> tuple[bytes, tuple[float, float]]:
    """Draw the scores between channels and `times` (2,) as colours on a clear ground, time downward.

    Returns the picture, and the seconds of its first and last sample after ``times[0]``.
    """
    when = scores.coords["time"].to_numpy()
    first, last = np.searchsorted(when, times)
    span = slice(int(first), int(last) + 1)
    numbers = scores.coords["channel"].to_numpy()
    rows = np.flatnonzero((numbers >= min(channels)) & (numbers <= max(channels)))
    part = scores.isel(channel=rows, time=span)
    bins, _ = channel_bins(numbers[rows], width)
    pixels = np.zeros((min(height, part.sizes["time"]), int(bins.max()) + 1, 4), np.uint8)
    for phase, color in PHASE_COLORS.items():
        merged = np.zeros((pixels.shape[1], pixels.shape[0]), np.float32)
        np.fmax.at(merged, bins, reduce_time(part.sel(phase=phase).to_numpy(), height))
        alpha = np.clip(merged.T * 255, 0, 255).astype(np.uint8)
        stronger = alpha > pixels[..., 3]
        pixels[stronger] = [int(color[place : place + 2], 16) for place in (1, 3, 5)] + [0]
        pixels[..., 3] = np.maximum(pixels[..., 3], alpha)
    inside = (when[span] - times[0]) / np.timedelta64(1, "s")
    return _png(Image.fromarray(pixels)), (float(inside[0]), float(inside[-1]))


@cache
def _palette() -> list[int]:
    colors = amplitude_colormap()(np.linspace(0, 1, 256))[:, :3]
    colors[255] = [int(MISSING[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    return [int(value) for value in np.rint(colors * 255).astype(int).ravel()]


def _png(picture: Image.Image) -> bytes:
    held = io.BytesIO()
    picture.save(held, "PNG", compress_level=1)
    return held.getvalue()
