"""Events outside the search box, whose P and S waves were placed apart on its edge, made one event again."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from gamma.final import Final
from gamma.setup import Setup

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

_ONE_PHASE = 0.75
_SURE = 0.5
_SHARED_RECEIVERS = 0.5
_SAME_PLACE = 18.4  # chi square of two degrees of freedom, 99.99 %
JOINED = "P and S of one event outside the search box; joined"


def join_outside(setup: Setup, final: Final) -> Final:
    """Join what the P and the S waves of an event outside the search box have made.

    No place inside has the time between P and S of an event farther away, so that its P and S waves are
    fitted best by two events, the one of S waves later. They are one when at least one of them lies on the
    edge, the same receivers see them and their places agree within their uncertainties. The one on the edge
    stays.
    """
    into = _partners(setup, final)
    gone = into != np.arange(len(into))
    if not gone.any():
        return final
    event = into[final.event]
    moved = event != final.event
    residual = final.residual_s.copy()
    residual[moved] = _residuals(final, final.pick[moved], event[moved])
    kept = np.flatnonzero(~gone)
    return replace(
        final,
        components=final.components.take(kept),
        member=final.member[kept],
        event=(np.cumsum(~gone) - 1)[event],
        residual_s=residual,
        location=final.location.take(kept),
        odds=final.odds[kept],
        dropped=final.dropped + Counter({JOINED: int(gone.sum())}),
    )


def _partners(setup: Setup, final: Final) -> I64:
    """Event that each event belongs to: mostly itself."""
    theta, share = final.components.theta, _s_share(final)
    into = np.arange(len(theta))
    if setup.mode != "full":
        return into
    edge = setup.on_edge(theta[:, 1:], top=False)
    p_only = share < 1.0 - _ONE_PHASE
    for s_event in np.flatnonzero(share > _ONE_PHASE):
        wait = theta[s_event, 0] - theta[:, 0]
        near = np.flatnonzero(p_only & (wait >= 0.0) & (wait <= setup.reach_s) & (edge | edge[s_event]))
        near = near[[_share_receivers(final, int(s_event), int(event)) for event in near]]
        apart = np.array([_separation(final, int(s_event), int(event)) for event in near])
        if len(near) == 0 or apart.min() > _SAME_PLACE:
            continue
        p_event = near[apart.argmin()]
        p_only[p_event] = False
        if edge[p_event]:
            into[s_event] = p_event
        else:
            into[p_event] = s_event
    return into


def _s_share(final: Final) -> F64:
    events = len(final.components)
    shear = (final.picks.slot[final.pick] & 1) == 1
    total = np.bincount(final.event, final.posterior, minlength=events)
    s_waves = np.bincount(final.event[shear], final.posterior[shear], minlength=events)
    share: F64 = s_waves / np.maximum(total, 1e-9)
    return share


def _share_receivers(final: Final, one: int, other: int) -> bool:
    """Whether most receivers of the event with fewer are receivers of the other too."""
    sure = final.posterior >= _SURE
    receiver = final.picks.slot[final.pick] >> 1
    first, second = (np.unique(receiver[sure & (final.event == event)]) for event in (one, other))
    return len(np.intersect1d(first, second)) > _SHARED_RECEIVERS * min(len(first), len(second))


def _separation(final: Final, one: int, other: int) -> float:
    """Squared distance of two epicentres over their uncertainties (Mahalanobis)."""
    offset = final.components.theta[one, 1:3] - final.components.theta[other, 1:3]
    covariance = final.location.covariance[[one, other], 1:3, 1:3].sum(axis=0)
    return float(offset @ np.linalg.pinv(covariance, hermitian=True) @ offset)


def _residuals(final: Final, pick: I64, event: I64) -> F64:
    theta, slot, template = final.components.theta[event], final.picks.slot[pick], final.picks.template
    travel = template.travel_time.times(theta[:, 1:], template.slot_xyz_km[slot], slot & 1)
    return final.picks.time_s[pick] - theta[:, 0] - travel
