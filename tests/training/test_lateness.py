"""Lateness of faint picks: found where many fronts tell it, and left alone where they do not."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from phasenet_das.training.lateness import without_lateness

CHANNELS = 80


def fronts(lateness_s: dict[str, float], events: int = 20, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Picks of P and S, whose scores vary along the cable, and their times without noise."""
    rng = np.random.default_rng(seed)
    parts = []
    for event in range(events):
        for phase, begin in (("P", 10.0), ("S", 14.0)):
            row = np.flatnonzero(rng.random(CHANNELS) < 0.8)
            onset = 60.0 * event + begin + rng.uniform(-0.02, 0.02) * row + rng.normal(0.0, 0.02, len(row))
            score = rng.uniform(0.3, 1.0, len(row))
            parts.append(
                pd.DataFrame(
                    {
                        "row": row,
                        "onset": onset,
                        "phase_type": phase,
                        "phase_score": score,
                        "event_index": event,
                    }
                ).assign(seconds=onset + lateness_s[phase] * (1.0 - score))
            )
    table = pd.concat(parts, ignore_index=True)
    return table.drop(columns="onset"), table["onset"].to_numpy()


def left(table: pd.DataFrame, onset: np.ndarray) -> pd.Series:
    """Slope of what is left of the lateness, of each phase."""
    late = without_lateness(table, half_width=25, sigma_s=0.1) - onset
    faint = 1.0 - table["phase_score"]
    return (late * faint).groupby(table["phase_type"]).sum() / (faint**2).groupby(table["phase_type"]).sum()


@pytest.mark.parametrize("seed", range(3))
def test_lateness_that_scores_tell_is_taken_out(seed: int) -> None:
    table, onset = fronts({"P": 0.06, "S": 0.02}, seed=seed)
    assert left(table, onset).abs().max() < 0.008
    assert np.std(without_lateness(table, half_width=25, sigma_s=0.1) - onset) < 0.006


def test_picks_that_are_not_late_stay() -> None:
    table, onset = fronts({"P": 0.0, "S": -0.05})
    found = left(table, onset)
    assert abs(found["P"]) < 0.006
    np.testing.assert_allclose(found["S"], -0.05)  # early picks have another reason than noise


def test_few_fronts_tell_nothing() -> None:
    table, _ = fronts({"P": 0.06, "S": 0.06}, events=9)
    np.testing.assert_array_equal(without_lateness(table, half_width=25, sigma_s=0.1), table["seconds"])


def test_one_event_with_an_odd_front_does_not_make_picks_late() -> None:
    """Its faint half lies behind by a step of the ground, which its neighbours share."""
    table, _ = fronts({"P": 0.0, "S": 0.0})
    odd = (table["event_index"] == 0) & (table["row"] >= CHANNELS // 2)
    table.loc[odd, "phase_score"] = 0.3
    table.loc[odd, "seconds"] += 0.1
    assert np.abs(without_lateness(table, half_width=25, sigma_s=0.1) - table["seconds"]).max() < 0.012


def test_order_and_lower_picks_of_a_channel_do_not_show() -> None:
    table, _ = fronts({"P": 0.06, "S": 0.02})
    twin = table.iloc[:200].assign(phase_score=0.1, seconds=lambda part: part["seconds"] + 0.2)
    both = pd.concat([table, twin], ignore_index=True)
    expected = without_lateness(table, half_width=25, sigma_s=0.1)
    mixed = both.sample(frac=1, random_state=1)
    found = pd.Series(without_lateness(mixed, half_width=25, sigma_s=0.1), mixed.index)
    np.testing.assert_array_equal(found.sort_index()[: len(table)], expected)
