"""Figures of evaluations: recall by signal-to-noise ratio, residuals, differential times, event errors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.plot.style import INK, finish, heading, legend, new_axes, phase_color

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_STYLES: tuple[Any, ...] = ("-", "--", ":", "-.", (0, (5, 1, 1, 1, 1, 1)))
_AXIS_NAMES = {
    "snr_db": "Signal-to-noise ratio of the true pick (dB)",
    "source_distance_km": "Distance from the source (km)",
}
_ERROR_NAMES = {
    "time_s": "Origin time error (s)",
    "epicentre_km": "Epicentre error (km)",
    "depth_km": "Depth error (km)",
    "source_distance_km": "Source distance error (km)",
    "magnitude": "Magnitude error",
}


def recall_by_bin(tables: Mapping[str, pd.DataFrame], bin_by: str, *, ax: Axes | None = None) -> Axes:
    """Draw recall over the bins of a column, with 95 % intervals where they were drawn."""
    ax = new_axes(ax, (5.6, 3.2))
    for (name, table), style in zip(tables.items(), _STYLES * len(tables), strict=False):
        rows = table[(table["bin_by"] == bin_by) & (table["num_truth"] > 0)]
        for phase, group in rows.groupby("phase"):
            middle, color = _middles(group), phase_color(str(phase))
            ax.plot(
                middle,
                group["recall"],
                linestyle=style,
                marker="o",
                ms=3,
                lw=1.3,
                color=color,
                label=f"{name} {phase}",
            )
            if style == "-" and "recall_low" in group:
                ax.fill_between(
                    middle, group["recall_low"], group["recall_high"], color=color, alpha=0.15, linewidth=0
                )
    ax.set(xlabel=_AXIS_NAMES.get(bin_by, bin_by), ylabel="Recall", ylim=(-0.02, 1.02))
    legend(ax, loc="best", handlelength=3.2)  # long enough to tell the dashes
    return finish(ax, grid=True)


def _middles(group: pd.DataFrame) -> np.ndarray:
    """Middle of each bin; the outermost, which hold all beyond, are drawn as wide as their neighbours."""
    low, high = group["bin_low"].to_numpy(np.float64), group["bin_high"].to_numpy(np.float64)
    width = float(np.median(high - low))
    low = np.where(np.isfinite(low), low, high - width)
    middle: np.ndarray = 0.5 * (low + np.where(np.isfinite(high), high, low + width))
    return middle


def residual_histogram(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw the residuals of matched picks."""
    return _histogram(pairs, "Pick \N{MINUS SIGN} truth (s)", ax)


def differential_time_histogram(pairs: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw how far differential times of picks are from those of waveforms."""
    label = "Differential time, picks \N{MINUS SIGN} waveforms (s)"
    return _histogram(pairs[pairs["kept"]], label, ax)


def _histogram(pairs: pd.DataFrame, label: str, ax: Axes | None) -> Axes:
    ax = new_axes(ax, (4.8, 3.0))
    residual = pairs["residual_s"].to_numpy(np.float64)
    reach = float(np.percentile(np.abs(residual), 99)) if len(residual) else 1.0
    reach = 1.1 * reach if reach > 0 else 1e-3
    edges: list[float] = np.linspace(-reach, reach, 61).tolist()
    for phase, group in pairs.groupby("phase"):
        values = group["residual_s"].to_numpy(np.float64)
        median = float(np.median(values))
        spread = 1.4826 * float(np.median(np.abs(values - median)))
        text = f"{phase} ({len(values):,}): median {1e3 * median:+.2f} ms, spread {1e3 * spread:.2f} ms"
        share = np.full(len(values), 1.0 / max(len(values), 1))
        ax.hist(
            values, edges, weights=share, histtype="stepfilled", alpha=0.25, color=phase_color(str(phase))
        )
        ax.hist(
            values, edges, weights=share, histtype="step", lw=1.2, color=phase_color(str(phase)), label=text
        )
    ax.axvline(0, color=INK, lw=0.8)
    ax.set(xlabel=label, ylabel="Share of picks", xlim=(-reach, reach))
    heading(ax, "the outermost 1 % are not shown" if len(residual) else "nothing was matched")
    ax.set_ylim(0, 1.35 * ax.get_ylim()[1])  # room for the legend
    legend(ax, loc="upper left")
    return finish(ax, grid=True)


def event_error_histogram(pairs: pd.DataFrame, quantity: str, *, ax: Axes | None = None) -> Axes:
    """Draw the errors of matched events."""
    ax = new_axes(ax, (4.0, 2.6))
    values = pairs[quantity].dropna().to_numpy(np.float64)
    ax.hist(values, bins=min(40, max(8, len(values) // 5)), color="#8d949b", edgecolor=INK, linewidth=0.4)
    if len(values):
        ax.axvline(float(np.median(values)), color="#c2185b", lw=1.2, label=f"median {np.median(values):.3g}")
    ax.set(xlabel=_ERROR_NAMES[quantity], ylabel="Events")
    legend(ax, loc="best")
    return finish(ax, grid=True)
