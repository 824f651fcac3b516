"""Fronts along a cable: which picks are one front, and which front is a P."""

from __future__ import annotations

from itertools import chain

import numpy as np
import pandas as pd

from phasenet_das.training.fronts import NAMED, find_fronts, name_fronts

CHANNELS = 40
Front = tuple[float, str, float, int]
"""Time on the first channel in s, phase, score, event."""


def picks_of(*fronts: Front, slowness_s: float = 0.01) -> pd.DataFrame:
    """Picks on all channels of each front."""
    rows = np.arange(CHANNELS)
    tables = [
        pd.DataFrame(
            {
                "row": rows,
                "seconds": time + slowness_s * rows,
                "phase_type": phase,
                "phase_score": score,
                "phase_amplitude": np.nan,
                "event_index": event,
            }
        )
        for time, phase, score, event in fronts
    ]
    return pd.concat(tables, ignore_index=True)


def numbered(table: pd.DataFrame) -> pd.DataFrame:
    front = find_fronts(table, CHANNELS, half_width=10, sigma_s=0.1, fewest=8)
    return table.assign(front=front)


def names_at(table: pd.DataFrame) -> dict[float, str]:
    """Name of the front at each time on the first channel; fronts without a partner are left out."""
    found = numbered(table)
    names = name_fronts(found, CHANNELS)
    assert list(names.columns) == NAMED
    assert names["certainty"].between(0.5, 1.0).all()
    begin = found[found["row"] == 0].groupby("front")["seconds"].median().round(1)
    return dict(zip(begin[names["front"]], names["phase_type"], strict=True))


def test_picks_of_both_names_on_one_curve_are_one_front() -> None:
    picks = picks_of((5.0, "P", 0.8, 0), (5.1, "S", 0.6, 0), (9.0, "S", 0.7, 0), (20.0, "P", 0.7, -1))
    lone = pd.DataFrame(
        {"row": [7], "seconds": [30.0], "phase_type": "P", "phase_score": 0.9, "event_index": -1}
    )
    front = numbered(pd.concat([picks, lone], ignore_index=True))["front"].to_numpy()
    assert len(np.unique(front)) == 4
    assert (front[:40] == front[40:80]).all()
    assert front[-1] == -1


def test_fronts_that_cross_are_two() -> None:
    first, second = picks_of((5.0, "P", 0.8, 0)), picks_of((6.0, "P", 0.8, 1), slowness_s=-0.04)
    front = numbered(pd.concat([first, second], ignore_index=True))["front"].to_numpy()
    crossing = np.abs(first["seconds"] - second["seconds"]).to_numpy() < 0.3
    assert len(np.unique(front)) == 2
    assert (front[:40] != front[40:])[~crossing].all()


def test_the_order_of_lone_pairs_names_fronts_that_single_channels_cannot() -> None:
    """A teacher that calls every second S a P, and gives the P of those both names."""
    right = [[(100.0 * k, "P", 0.8, k), (100.0 * k + 15.0, "S", 0.8, k)] for k in range(0, 6, 2)]
    wrong = [
        [(100.0 * k, "S", 0.6, k), (100.0 * k + 0.1, "P", 0.5, k), (100.0 * k + 15.0, "P", 0.9, k + 10)]
        for k in range(1, 6, 2)
    ]
    names = names_at(picks_of(*chain(*right, *wrong)))
    assert {time for time, name in names.items() if name == "P"} == {100.0 * k for k in range(6)}
    assert {time for time, name in names.items() if name == "S"} == {100.0 * k + 15.0 for k in range(6)}


def test_reliable_names_keep_what_comes_after_an_s_from_becoming_one() -> None:
    """A third front behind each S, of which nobody knows the name, leaves P and S as they are."""
    events = [
        [(60.0 * k, "P", 0.8, k), (60.0 * k + 4.0, "S", 0.8, k), (60.0 * k + 9.0, "S", 0.4, -1)]
        for k in range(4)
    ]
    names = names_at(picks_of(*chain(*events)))
    assert {time for time, name in names.items() if name == "P"} == {60.0 * k for k in range(4)}
    assert {time for time, name in names.items() if name == "S"} == {60.0 * k + 4.0 for k in range(4)}


def test_a_front_without_a_partner_and_pairs_without_an_event_have_no_name() -> None:
    rejected = [(200.0, "P", 0.8, -1), (204.0, "S", 0.8, -1)]
    names = names_at(picks_of((0.0, "P", 0.8, 0), (4.0, "S", 0.8, 0), (90.0, "P", 0.9, 1), *rejected))
    assert names == {0.0: "P", 4.0: "S"}
    assert name_fronts(numbered(picks_of((0.0, "P", 0.8, 0))), CHANNELS).empty
    assert name_fronts(numbered(picks_of((0.0, "P", 0.8, 0))[:0]), CHANNELS).empty


def test_fragments_beside_a_large_front_have_no_name() -> None:
    whole = picks_of((0.0, "P", 0.8, 0), (15.0, "S", 0.8, 0))
    fragments = [picks_of(front)[:10] for front in ((13.0, "P", 0.8, 1), (14.0, "S", 0.8, -1))]
    assert names_at(pd.concat([whole, *fragments], ignore_index=True)) == {0.0: "P", 15.0: "S"}
    far = [part.assign(seconds=part["seconds"] + 100.0) for part in fragments]
    assert len(names_at(pd.concat([whole, *far], ignore_index=True))) == 4


def test_names_and_events_do_not_depend_on_the_order_of_picks() -> None:
    picks = picks_of((0.0, "P", 0.8, 5), (4.0, "S", 0.8, 5), (8.0, "P", 0.6, 7), (13.0, "S", 0.7, 7))
    mixed = picks.sample(frac=1, random_state=1)
    names = name_fronts(numbered(picks), CHANNELS)
    again = name_fronts(numbered(mixed.reset_index(drop=True)), CHANNELS)
    pd.testing.assert_frame_equal(names, again)
    assert set(names["event_index"]) == {5, 7}
    backwards = names_at(picks.assign(row=CHANNELS - 1 - picks["row"]))
    assert sorted(backwards.values()) == ["P", "P", "S", "S"]
