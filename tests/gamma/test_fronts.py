"""Fronts: arrivals followed along a cable from cell to cell, and paired as P and S."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gamma import AssociationConfig, associate
from gamma.domain import make_domain
from gamma.fronts import MIN_CELLS, Runs, cable_runs, follow_fronts, front_table, pair_fronts
from gamma.likelihood import receiver_weights, seed_picks
from gamma.picks import load_picks
from gamma.receivers import load_receivers
from tests.gamma import made_picks as made

CONFIG = AssociationConfig(vp_km_s=made.VP, vs_km_s=made.VS, max_distance_km=40.0)
STATIONS = made.cable(240, 0.06, bend=False)
DOMAIN = make_domain(load_receivers(STATIONS), CONFIG)
CELLS = np.arange(len(DOMAIN.cells.size))
ALONG_KM = DOMAIN.receivers.along_km[DOMAIN.cells.representative]


def make_runs(*fronts, noise_s=0.01, seed=0):
    """Runs of fronts (times by cell, NaN where there is none), and the number of each run's front."""
    rng = np.random.default_rng(seed)
    time = np.array(fronts) + rng.normal(0.0, noise_s, (len(fronts), len(CELLS)))
    front, cell = np.nonzero(np.isfinite(time))
    order = np.lexsort((time[front, cell], cell))
    front, cell = front[order], cell[order]
    names = np.log(np.full((len(cell), 2), 0.5))
    return Runs(np.arange(len(cell)), time[front, cell], cell, names), front


def line(start_s, speed_km_s):
    return start_s + ALONG_KM / speed_km_s


@pytest.mark.parametrize("speed", [3.7, 8.0, -5.0])
def test_parallel_fronts_stay_apart(speed):
    fronts = [line(start, speed) for start in (20.0, 20.4, 20.8)]
    runs, true = make_runs(*fronts, noise_s=0.03)
    found = follow_fronts(DOMAIN, runs)
    assert pd.DataFrame({"found": found, "true": true}).drop_duplicates().shape[0] == len(fronts)
    assert (found >= 0).all()


def test_a_front_goes_on_over_a_missing_cell_and_ends_at_a_longer_gap():
    whole = line(20.0, 5.0)
    one_gone = np.where(CELLS == 10, np.nan, whole)
    assert (follow_fronts(DOMAIN, make_runs(one_gone)[0]) == 0).all()
    many_gone = np.where((CELLS > 9) & (CELLS < 14), np.nan, whole)
    assert set(follow_fronts(DOMAIN, make_runs(many_gone)[0])) == {0, 1}


def test_a_front_needs_some_cells():
    short = np.where(CELLS < MIN_CELLS - 1, line(20.0, 5.0), np.nan)
    assert (follow_fronts(DOMAIN, make_runs(short)[0]) == -1).all()
    enough = np.where(CELLS < MIN_CELLS, line(20.0, 5.0), np.nan)
    assert (follow_fronts(DOMAIN, make_runs(enough)[0]) == 0).all()


def test_no_front_is_slower_than_the_slowest_waves():
    runs, _ = make_runs(line(20.0, 0.25 * made.VS))
    assert (follow_fronts(DOMAIN, runs) == -1).all()


def test_fronts_end_with_their_cable():
    other = STATIONS.assign(station_id="OTHER", x_km=STATIONS["x_km"] + STATIONS["x_km"].max() * 2.0 + 0.1)
    domain = make_domain(load_receivers(pd.concat([STATIONS, other], ignore_index=True)), CONFIG)
    cell = np.arange(len(domain.cells.size))
    names = np.log(np.full((len(cell), 2), 0.5))
    runs = Runs(cell, np.full(len(cell), 20.0) + 1e-3 * cell, cell, names)
    found = follow_fronts(domain, runs)
    cable = domain.receivers.cable[domain.cells.representative]
    assert len(np.unique(found)) == 2
    assert (found[cable == 0] != found[cable == 1][0]).all()


def test_the_table_of_fronts_holds_each_run_once():
    runs, _ = make_runs(line(24.0, 4.0), line(20.0, 6.0))
    front = follow_fronts(DOMAIN, runs)
    table = front_table(runs, front, len(CELLS))
    assert table.middle_s.tolist() == sorted(table.middle_s)
    assert np.isfinite(table.time_s).sum() == (front >= 0).sum()
    assert table.log_name == pytest.approx(np.full((2, 2), len(CELLS) * np.log(0.5)))


def test_no_runs_have_no_fronts():
    runs, _ = make_runs(np.full(len(CELLS), np.nan))
    front = follow_fronts(DOMAIN, runs)
    assert len(front) == 0
    assert len(front_table(runs, front, len(CELLS)).middle_s) == 0


def seeds_of(picks):
    observations = load_picks(picks, DOMAIN.receivers, CONFIG)
    series, _ = seed_picks(DOMAIN, observations, receiver_weights(DOMAIN))
    free = np.ones(len(series), dtype=bool)
    assert len(cable_runs(DOMAIN, series, free).pick) > 0
    return pair_fronts(DOMAIN, series, free), observations.reference_ns


@pytest.mark.parametrize("crossed", [False, True])
def test_every_event_of_a_sequence_is_guessed_once(crossed):
    """Four events 4 s apart, also where a stretch of every front bears the other name."""
    truth = made.events(4, seed=6, spacing_s=4.0)
    picks = made.make_picks(STATIONS, truth, noise_s=0.03)
    picks = made.cross_names(picks, crossed & picks["channel_index"].between(80, 159))
    seeds, reference_ns = seeds_of(picks)
    start_s = (made.EPOCH.value - reference_ns) * 1e-9
    assert np.sort(seeds.hypocentre[:, 0]) == pytest.approx(start_s + truth["t_s"].to_numpy(), abs=0.3)


def test_a_lone_front_is_no_guess():
    seeds, _ = seeds_of(made.plane_wave(STATIONS, 12.0, 4.0))
    assert len(seeds.count) == 0


def test_a_cable_of_few_channels_has_fronts_too():
    stations = made.cable(24, dx_km=0.1)
    truth = pd.DataFrame({"t_s": [30.0], "x_km": [2.0], "y_km": [5.0], "z_km": [6.0]})
    found = associate(
        made.make_picks(stations, truth, noise_s=0.02), stations, AssociationConfig(vp_km_s=6.0)
    )
    assert len(found.events) == 1
    assert found.events.loc[0, "num_channels"] > 20
