"""Diagrams of catalogs and of networks: magnitudes, training curves, reliability."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from phasenet_das.errors import TableError
from phasenet_das.plot.style import (
    EVENT,
    INK,
    MUTED,
    PHASE_COLORS,
    finish,
    heading,
    legend,
    new_axes,
    phase_color,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_LOG10_E = math.log10(math.e)
_SMOOTHING = 0.05  # of the log's lines, over which the drawn loss is averaged


def magnitude_frequency(
    magnitudes: pd.Series | np.ndarray,
    *,
    bin_width: float = 0.1,
    completeness: float | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw how many events there are of each magnitude, and the Gutenberg-Richter line through them.

    The b-value is the maximum-likelihood one of Aki (1965), with Utsu's (1966) half bin and the standard
    error of Shi & Bolt (1982), from the events at and above the magnitude of completeness: the fullest bin
    (maximum curvature, Wiemer & Wyss 2000), which tends to be too low, unless it is stated.

    Parameters
    ----------
    magnitudes : array_like, shape (event,), float
        NaN where unknown.
    bin_width : float, optional
        Width of a bin, centred on its multiples.
    completeness : float, optional
        Magnitude above which no event is missing; the next bin that begins above it, where it lies between.

    Returns
    -------
    matplotlib.axes.Axes
        Numbers of events on a logarithmic axis: bars in a bin, points at and above it.
    """
    ax = new_axes(ax, (4.8, 3.4))
    values = np.asarray(magnitudes, dtype=np.float64)
    bins = np.round(values[np.isfinite(values)] / bin_width).astype(int)
    ax.set(xlabel="Magnitude", ylabel="Events")
    if not len(bins):
        heading(ax, "no event has a magnitude")
        return finish(ax, grid=True)
    first, count = int(bins.min()), np.bincount(bins - bins.min())
    centre = (first + np.arange(len(count))) * bin_width
    above = count[::-1].cumsum()[::-1]
    ax.bar(centre, count, 0.85 * bin_width, color="#c9cdd1", edgecolor=MUTED, linewidth=0.4, label="in a bin")
    ax.plot(centre, above, "o", color=INK, markersize=3.5, label="at and above", zorder=4)
    least = centre[int(count.argmax())]
    if completeness is not None:  # a bin is used whole or not at all
        least = np.ceil(completeness / bin_width - 1e-9) * bin_width
    used = bins * bin_width
    _draw_gutenberg_richter(ax, used[used >= least - 0.5 * bin_width], float(least), bin_width)
    ax.set_yscale("log")
    ax.set_ylim(0.7, 2.0 * above[0])
    legend(ax, loc="upper right")
    return finish(ax, grid=True)


def _draw_gutenberg_richter(ax: Axes, magnitude: np.ndarray, least: float, bin_width: float) -> None:
    count, excess = len(magnitude), float(magnitude.mean() - (least - 0.5 * bin_width))
    if count < 3 or np.ptp(magnitude) == 0:
        return
    b = _LOG10_E / excess
    error = 2.3 * b**2 * float(np.sqrt(((magnitude - magnitude.mean()) ** 2).sum() / (count * (count - 1))))
    x = np.array([least, magnitude.max()])
    label = f"b = {b:.2f} ± {error:.2f} ({count:,} events)"
    ax.plot(x, count * 10 ** (-b * (x - least)), color=EVENT, linewidth=1.4, label=label, zorder=5)
    ax.axvline(least, color=EVENT, linewidth=0.8, linestyle=":", label=f"completeness {least:.1f}")


def magnitude_residuals(residuals: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Draw estimated magnitudes over those of the reference.

    Parameters
    ----------
    residuals : pandas.DataFrame
        ``reference_magnitude`` and ``magnitude``, such as ``MagnitudeScale.residuals``.
    """
    ax = new_axes(ax, (3.8, 3.6))
    known = residuals.dropna(subset=["reference_magnitude", "magnitude"])
    if known.empty:
        heading(ax, "no event was estimated")
        return finish(ax)
    both = known[["reference_magnitude", "magnitude"]].to_numpy()
    limits = (both.min() - 0.3, both.max() + 0.3)
    late = both[:, 1] - both[:, 0]
    label = f"{len(known):,} events: median {np.median(late):+.2f}, rms {np.sqrt((late**2).mean()):.2f}"
    ax.plot(limits, limits, "--", color=INK, linewidth=0.8)
    ax.plot(both[:, 0], both[:, 1], "o", color=EVENT, markersize=4, label=label)
    ax.set(xlabel="Magnitude of the reference", ylabel="Magnitude from strain rate", aspect="equal")
    ax.set(xlim=limits, ylim=limits)
    legend(ax, loc="upper left")
    return finish(ax, grid=True)


def training_curves(
    log: pd.DataFrame, validation: pd.DataFrame | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw the loss of a training, and how well the network picks the validation set.

    Parameters
    ----------
    log : pandas.DataFrame
        ``step, loss``, such as ``log.csv`` of a training folder.
    validation : pandas.DataFrame, optional
        ``step, loss, p_f1, s_f1``, such as ``validation.csv``.

    Returns
    -------
    matplotlib.axes.Axes
        Loss on the left, logarithmic; F1 on a second axis on the right.

    Raises
    ------
    TableError
        The log has no line.
    """
    if log.empty:
        raise TableError("training log: no line yet. Wait for the first logged step, or name another folder.")
    ax = new_axes(ax, (6.4, 3.2))
    lines = max(1, round(_SMOOTHING * len(log)))
    ax.plot(log["step"], log["loss"], color="#c9c9c9", linewidth=0.7)
    smooth = log["loss"].rolling(lines, min_periods=1, center=True).mean()
    ax.plot(log["step"], smooth, color=INK, linewidth=1.3, label="training loss")
    ax.set(xlabel="Step", ylabel="Loss (nats per pixel)", yscale="log")
    _plain_log_ticks(ax, wide=log["loss"].max() > 30 * log["loss"].min())
    if validation is not None and len(validation):
        style: dict[str, Any] = {"color": EVENT, "marker": "o", "markersize": 3, "linewidth": 1.0}
        ax.plot(validation["step"], validation["loss"], label="validation loss", **style)
        right = ax.twinx()
        for phase, color in PHASE_COLORS.items():
            values = validation[f"{phase.lower()}_f1"]
            size = 5 if phase == "P" else 3  # so that both are seen where they are equal
            right.plot(
                validation["step"], values, "--", color=color, marker="s", markersize=size, linewidth=1.0
            )
            ax.plot([], [], "--", color=color, marker="s", markersize=size, label=f"{phase}: F1 (right)")
        right.set(ylabel="F1 on the validation set", ylim=(0, 1.02))
        finish(right)
    ax.legend(fontsize=8, ncols=4, frameon=False, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return finish(ax, grid=True)


def _plain_log_ticks(ax: Axes, *, wide: bool) -> None:
    """Label a logarithmic axis with plain numbers, between the powers of ten too where it spans few."""
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    between = set() if wide else {"2", "3", "5"}
    ax.yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in between else "")


def reliability(table: pd.DataFrame, quantity: str, *, ax: Axes | None = None) -> Axes:
    """Draw what picks state about themselves against what is true: on the diagonal they tell the truth.

    Parameters
    ----------
    table : pandas.DataFrame
        From :func:`phasenet_das.evaluate.reliability_table`.
    quantity : str
        ``probability`` or ``time_uncertainty_s``.

    Returns
    -------
    matplotlib.axes.Axes
        A point a bin, its area by the number of picks; P and S by colour.
    """
    ax = new_axes(ax, (3.8, 3.6))
    rows = table[table["quantity"] == quantity]
    is_share = quantity == "probability"
    high = 1.0 if is_share else 1.1 * float(rows[["stated", "observed"]].to_numpy().max(initial=0.01))
    ax.plot([0, high], [0, high], color=INK, lw=0.8, ls="--")
    for phase, group in rows.groupby("phase"):
        color = phase_color(str(phase))
        ax.plot(group["stated"], group["observed"], color=color, lw=1.0)
        area = 12 + 60 * group["num_picks"] / max(rows["num_picks"].max(), 1)
        label = f"{phase} ({int(group['num_picks'].sum()):,})"
        ax.scatter(
            group["stated"],
            group["observed"],
            s=area,
            color=color,
            linewidths=0,
            alpha=0.8,
            label=label,
            clip_on=False,  # the surest picks lie in the corner
            zorder=3,
        )
    names = (
        ("Stated probability", "Share of right picks")
        if is_share
        else ("Stated uncertainty of the time (s)", "68 % of the errors within (s)")
    )
    ax.set(xlabel=names[0], ylabel=names[1], xlim=(0, high), ylim=(0, high), aspect="equal")
    box = legend(ax, loc="upper left")
    for handle in [] if box is None else box.legend_handles:
        handle.set_sizes([24])  # type: ignore[union-attr]
    return finish(ax, grid=True)
