"""What became of every pick, and why."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from gamma.final import Assigned, Final
from gamma.observations import Observations
from gamma.segments import SeedPicks
from gamma.setup import Setup, describe_setup

I64 = npt.NDArray[np.int64]

_SAME_ARRIVAL_S = 5.0
_REASONS = [
    "",
    "no event explains it",
    "no event explains it, and it lines up with no neighbouring channels",
    "as probable as noise: its association score is below min_association_score",
    "near an event's arrival, but another pick of this receiver and phase fits it better",
    "near an event's arrival, but its residual is too large",
]


def explain_picks(final: Final, assigned: Assigned, seeds: SeedPicks) -> tuple[list[str], I64]:
    """Give every usable pick a reason; the first, empty one is for picks with an event.

    Returns `codes` (picks,).
    """
    codes = np.where(assigned.event >= 0, 0, 1)
    codes[(codes == 1) & (seeds.members < 0)] = 2
    claim = np.bincount(final.pick, final.posterior, minlength=len(codes))
    near = np.zeros(len(codes), dtype=bool)
    near[final.near] = True
    codes[(codes > 0) & near] = np.where(_seat_taken(final, assigned), 4, 5)[(codes > 0) & near]
    codes[(codes > 0) & (claim > 0.1)] = 3
    codes[(codes > 0) & assigned.duplicate] = 4
    return _REASONS, codes


def _seat_taken(final: Final, assigned: Assigned) -> npt.NDArray[np.bool_]:
    """Mark picks with an associated pick of the same receiver and phase within a few seconds."""
    order = np.lexsort((final.picks.time_s, final.picks.slot))
    slot, time = final.picks.slot[order], final.picks.time_s[order]
    taken = assigned.event[order] >= 0
    out = np.zeros(len(order), dtype=bool)
    for step in (1, -1):
        same = (np.roll(slot, step) == slot) & (np.abs(np.roll(time, step) - time) < _SAME_ARRIVAL_S)
        out[order] |= np.roll(taken, step) & same
    return out


def summarise(
    setup: Setup,
    observations: Observations,
    final: Final,
    assigned: Assigned,
    history: list[dict[str, Any]],
    *,
    explain: bool,
) -> dict[str, Any]:
    """Count what was used, left out and dropped, and list the settings in use."""
    settings = describe_setup(setup)
    shares = final.correlation.independent_share
    settings["effective_observations_per_100_channels"] = [round(100.0 * float(share), 2) for share in shares]
    summary: dict[str, Any] = {
        "picks": observations.num_rows,
        "picks_used": len(observations),
        "picks_associated": int((assigned.event >= 0).sum()),
        "events": len(final.components),
        "converged": final.converged,
        "left_out": {text: len(where) for text, where in observations.excluded.items()},
        "unknown_receivers": observations.unknown_receivers,
        "seeds": [entry["seeds"] for entry in history],
        "events_dropped": _add([entry["dropped"] for entry in history] + [dict(final.dropped)]),
        "settings": settings,
    }
    if explain:
        summary["rounds"] = [*history, {"events": len(final.components), "bounds": final.bounds}]
    return summary


def _add(counts: list[dict[str, int]]) -> dict[str, int]:
    names = sorted({name for entry in counts for name in entry})
    return {name: sum(entry.get(name, 0) for entry in counts) for name in names}
