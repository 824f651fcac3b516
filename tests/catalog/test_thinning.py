"""Thinning keeps the best of evenly spread channels, and never touches seismometers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.catalog import thin_picks
from phasenet_das.errors import ConfigError

GROUP = ["event_index", "station_id", "phase_type"]


@settings(deadline=None)
@given(limit=st.integers(1, 250), seed=st.integers(0, 2**32 - 1))
def test_the_choice_does_not_depend_on_the_order_of_picks(picks, limit, seed):
    thinned = thin_picks(picks, limit)
    shuffled = thin_picks(picks.sample(frac=1, random_state=seed), limit)
    assert set(thinned["pick_id"]) == set(shuffled["pick_id"])
    fibre = thinned[thinned["channel_index"] >= 0]
    assert fibre.groupby(GROUP).size().max() <= limit
    assert (thinned["event_index"] >= 0).all()
    assert (thinned["channel_index"] == -1).sum() == 4


def test_each_bin_keeps_its_best_pick(picks):
    one = picks[(picks["event_index"] == 0) & (picks["phase_type"] == "P") & (picks["channel_index"] >= 0)]
    thinned = thin_picks(picks, 10)
    thinned = thinned[thinned["pick_id"].isin(one["pick_id"])]
    bins = np.minimum((one["channel_index"] - 2000) / 199 * 10, 9).astype(int)
    assert set(thinned.index) == set(one.groupby(bins)["phase_score"].idxmax())


def test_bins_are_even_in_metres_where_distance_is_known(picks):
    far = picks["channel_index"].between(2100, 2199)
    stretched = picks.assign(distance_m=picks["channel_index"].where(~far, 2100 + 99 * 100.0).astype(float))
    thinned = thin_picks(stretched, 10)
    near = thinned[(thinned["channel_index"] < 2100) & (thinned["channel_index"] >= 0)]
    # The first 100 channels fill one bin in ten, the far end shares the last one.
    assert near.groupby(GROUP).size().eq(1).all()


def test_a_small_group_stays_whole_and_in_order(picks):
    thinned = thin_picks(picks, 200)
    assert thinned.equals(picks[picks["event_index"] >= 0])


def test_no_event_gives_no_picks(picks):
    assert thin_picks(picks.assign(event_index=-1)).empty


def test_a_limit_of_zero_is_refused(picks):
    with pytest.raises(ConfigError, match="at least 1"):
        thin_picks(picks, 0)
