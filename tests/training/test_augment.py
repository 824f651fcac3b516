"""Augmentation: samples and picks move together. Each sample has a spike exactly at its picks."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from phasenet_das.config import AugmentSettings
from phasenet_das.errors import ConfigError
from phasenet_das.training import augment
from phasenet_das.training.augment import draw_stretch, vary
from phasenet_das.training.sample import Sample

DT_S = 0.01
CHANNELS, SAMPLES = 24, 512
WIDTH = 6.0


def pulses(arrivals: np.ndarray, samples: int = SAMPLES) -> np.ndarray:
    """Smooth pulses centred on the picks: 1 at P, 3 at S."""
    time = np.arange(samples)
    height = np.array([1.0, 3.0])[:, None, None]
    shape = np.exp(-0.5 * ((time - np.where(np.isfinite(arrivals), arrivals, -1e6)[..., None]) / WIDTH) ** 2)
    return (height * shape).sum(axis=(0, 1))


def spiked() -> Sample:
    row = np.arange(CHANNELS)
    arrivals = np.stack([120 + 2.5 * row, 300 + 4.0 * row])[None]
    made = Sample.of(pulses(arrivals), arrivals, DT_S, dx_m=10.0)
    return replace(made, rejected=60 + row[None].astype(float))


def assert_pulses_at_picks(sample: Sample, tolerance: float = 0.6) -> None:
    """Around every pick inside, the largest sample is the pick's."""
    event, phase, row = np.nonzero((sample.arrivals >= 20) & (sample.arrivals < sample.data.shape[1] - 20))
    assert len(row)
    where = sample.arrivals[event, phase, row]
    near = np.rint(where).astype(int)[:, None] + np.arange(-15, 16)
    local = np.abs(sample.data[row[:, None], np.clip(near, 0, sample.data.shape[1] - 1)])
    silent = local.max(axis=1) == 0
    peak = near[np.arange(len(row)), local.argmax(axis=1)]
    assert np.abs(peak - where)[~silent].max() <= tolerance
    assert not (silent & sample.live[row]).any()


@pytest.mark.parametrize("channels", [1, 3, 15])
def test_few_channels_fill_a_sample(channels: int) -> None:
    few = augment.crop(spiked(), (0, 0), (channels, SAMPLES))
    full = augment.reflect_channels(few, 0, 64)
    assert_pulses_at_picks(full)
    assert full.live.all()
    for row in range(64):
        turn, place = divmod(row, channels)
        source = channels - 1 - place if turn % 2 else place
        np.testing.assert_array_equal(full.data[row], few.data[source])
        np.testing.assert_array_equal(full.arrivals[..., row], few.arrivals[..., source])


def test_numbers_of_channels_are_drawn_alike_for_each_power_of_two() -> None:
    rng, few = np.random.default_rng(0), AugmentSettings(few_channels=1.0)
    drawn = np.array([augment.draw_channels(few, 96, rng) for _ in range(3000)])
    share = np.histogram(drawn, [1, 2, 4, 8, 16, 32, 64])[0] / len(drawn)
    np.testing.assert_allclose(share, 1 / np.log2(96), atol=0.03)
    assert augment.draw_channels(AugmentSettings(), 96, rng) == 96


@pytest.mark.parametrize("first", [(3, 50), (-5, 100), (10, -80), (18, 200)])
def test_crop(first: tuple[int, int]) -> None:
    whole, size = spiked(), (16, 256)
    piece = augment.crop(whole, first, size)
    assert piece.data.shape == size
    assert_pulses_at_picks(piece)
    there = (np.arange(16) + first[0] >= 0) & (np.arange(16) + first[0] < CHANNELS)
    assert (piece.live == there).all()
    assert np.isinf(piece.arrivals[:, :, ~there]).all()
    rows = np.arange(16)[there] + first[0]
    np.testing.assert_array_equal(piece.arrivals[..., there], whole.arrivals[..., rows] - first[1])
    np.testing.assert_array_equal(piece.rejected[..., there], whole.rejected[..., rows] - first[1])


def test_crop_knows_that_filled_time_holds_no_arrival() -> None:
    whole = replace(spiked(), arrivals=spiked().arrivals - 130)  # some before the data begin
    piece = augment.crop(whole, (0, -50), (CHANNELS, 200))
    before = whole.arrivals < 0
    assert before.any()
    assert (piece.arrivals[before] == -np.inf).all()
    behind = replace(spiked(), arrivals=spiked().arrivals + 130)
    after = behind.arrivals >= SAMPLES
    assert after.any()
    piece = augment.crop(behind, (0, SAMPLES - 100), (CHANNELS, 200))
    assert (piece.arrivals[after] == np.inf).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 40), st.integers(1, 900), st.integers(0, 10_000))
def test_crops_are_anchored_on_picks(channels: int, samples: int, seed: int) -> None:
    whole, rng = spiked(), np.random.default_rng(seed)
    first = augment.anchored_start(whole.arrivals, whole.data.shape, (channels, samples), rng)
    piece = augment.crop(whole, first, (channels, samples))
    inside = (piece.arrivals >= 0) & (piece.arrivals < samples)
    assert inside.any()
    for begin, width, have in zip(first, (channels, samples), whole.data.shape, strict=True):
        assert min(0, have - width) <= begin <= max(0, have - width)


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.0, 1.3, 2.0])
def test_stretch_time(factor: float) -> None:
    stretched = augment.stretch_time(spiked(), factor)
    assert stretched.data.shape[1] == pytest.approx(SAMPLES * factor, abs=1.5)
    assert stretched.dt_s == DT_S
    np.testing.assert_allclose(stretched.arrivals, spiked().arrivals * factor, rtol=2e-4)
    np.testing.assert_allclose(stretched.rejected, spiked().rejected * factor, rtol=2e-4)
    assert_pulses_at_picks(stretched)


def test_another_rate_keeps_the_times() -> None:
    slow = augment.stretch_time(spiked(), 0.5, dt_s=0.02)
    np.testing.assert_allclose(slow.arrivals * slow.dt_s, spiked().arrivals * DT_S)
    assert_pulses_at_picks(slow)
    with pytest.raises(ConfigError, match="positive"):
        augment.stretch_time(spiked(), -1.0)


@pytest.mark.parametrize("factor", [0.4, 0.5, 1.0, 1.7, 2.0])
def test_stretch_space(factor: float) -> None:
    stretched = augment.stretch_space(spiked(), factor)
    assert len(stretched.data) == round((CHANNELS - 1) * factor) + 1
    assert stretched.dx_m == pytest.approx(10.0 / factor)
    # Between channels the pulse is the mean of two that lie up to 4 samples apart.
    assert_pulses_at_picks(stretched, tolerance=2.1 if factor > 1 else 0.6)
    slope = np.diff(stretched.arrivals[0, 0]).mean()
    assert slope == pytest.approx(2.5 / factor, rel=0.05)


def test_stretch_space_keeps_what_is_unknown() -> None:
    whole = spiked()
    whole.arrivals[0, 0, 5:] = np.nan
    stretched = augment.stretch_space(replace(whole, live=np.arange(CHANNELS) != 20), 2.0)
    assert np.isfinite(stretched.arrivals[0, 0, :9]).all()
    assert np.isnan(stretched.arrivals[0, 0, 10:]).all()
    assert np.flatnonzero(~stretched.live).tolist() == [39, 40, 41]


def test_flip_twice_is_nothing() -> None:
    flipped = augment.flip_channels(spiked())
    assert_pulses_at_picks(flipped)
    assert flipped.arrivals[0, 0, 0] == spiked().arrivals[0, 0, -1]
    back = augment.flip_channels(flipped)
    np.testing.assert_array_equal(back.data, spiked().data)
    np.testing.assert_array_equal(back.rejected, spiked().rejected)


def test_added_events_keep_both_sets_of_picks() -> None:
    other = augment.crop(spiked(), (0, -70), (CHANNELS, SAMPLES))
    other = replace(other, live=np.arange(CHANNELS) != 3)
    both = augment.add_event(spiked(), other, 0.0)
    assert both.arrivals.shape == (2, 2, CHANNELS)
    assert_pulses_at_picks(both)
    assert not both.live[3]
    quiet = augment.add_event(spiked(), other, -200.0)
    np.testing.assert_allclose(quiet.data, spiked().data, atol=1e-6)
    with pytest.raises(ConfigError, match="cannot be added"):
        augment.add_event(spiked(), augment.crop(other, (0, 0), (3, 9)), 0.0)


@pytest.mark.parametrize(
    ("ratio_db", "before", "after"), [(-20.0, 0.1, 1.0), (20.0, 1.0, 0.1), (0.0, 1.0, 1.0)]
)
def test_the_ratio_of_p_to_s_changes_shortly_before_the_s(
    ratio_db: float, before: float, after: float
) -> None:
    row, time = np.arange(CHANNELS), np.arange(SAMPLES)
    s = 300 + 4.0 * row
    arrivals = np.stack([120 + 2.5 * row, np.where(row % 5 == 0, np.nan, s)])[None]
    event = Sample.of(1.0 + np.zeros((CHANNELS, SAMPLES)), arrivals, DT_S)
    event = replace(event, live=row >= 0)
    made = augment.change_phase_ratio(event, ratio_db)
    inner = slice(1, -1)  # between channels with an S
    np.testing.assert_allclose(made.data[inner][time < s[inner, None] - 41], before, rtol=1e-5)
    np.testing.assert_allclose(made.data[inner][time > s[inner, None] - 19], after, rtol=1e-5)
    np.testing.assert_array_equal(made.arrivals, arrivals)


def test_the_ratio_of_p_to_s_of_several_events_or_of_none_stays() -> None:
    both = replace(
        spiked(), arrivals=np.repeat(spiked().arrivals, 2, axis=0), confidence=np.ones((2, 2, CHANNELS))
    )
    p_alone = replace(spiked(), arrivals=np.where([[[True], [False]]], spiked().arrivals, np.nan))
    beyond = replace(spiked(), arrivals=spiked().arrivals + 10_000)
    for sample in (both, p_alone, beyond):
        assert augment.change_phase_ratio(sample, -20.0) is sample


def test_noise_has_the_ratio_asked_for() -> None:
    rng = np.random.default_rng(1)
    noise = 37 * rng.standard_normal((CHANNELS, SAMPLES)).astype(np.float32)
    # Silence, and from the arrivals on an event of an rms of 5.
    data = 5 * rng.standard_normal((CHANNELS, SAMPLES)) * (np.arange(SAMPLES) >= 256)
    event = Sample.of(data, np.full((1, 2, CHANNELS), 256.0), DT_S)
    event = replace(event, live=np.arange(CHANNELS) != 2)
    for ratio, expected in ((0.0, 5.0), (20.0, 0.5)):
        noisy = augment.add_noise(event, noise, ratio)
        added = noisy.data - event.data
        assert not added[2].any()
        assert np.median(added[3:].std(axis=1)) == pytest.approx(expected, rel=0.05)
        np.testing.assert_array_equal(noisy.arrivals, event.arrivals)
    assert_pulses_at_picks(augment.add_noise(spiked(), noise, 60.0))


def test_dead_channels_leave_the_loss_and_hidden_ones_do_not() -> None:
    chosen = np.isin(np.arange(CHANNELS), [2, 9])
    dead, hidden = augment.kill_channels(spiked(), chosen), augment.hide_channels(spiked(), chosen)
    for made in (dead, hidden):
        assert not made.data[chosen].any()
        np.testing.assert_array_equal(made.data[~chosen], spiked().data[~chosen])
        np.testing.assert_array_equal(made.arrivals, spiked().arrivals)
    assert (dead.live == ~chosen).all()
    assert hidden.live.all()


def test_amplitude_and_polarity_of_each_channel() -> None:
    gain = np.random.default_rng(0).normal(size=CHANNELS)
    scaled = augment.scale_channels(spiked(), gain)
    np.testing.assert_allclose(scaled.data, spiked().data * gain[:, None], rtol=1e-5, atol=1e-7)
    assert_pulses_at_picks(scaled)


def test_a_lower_rate_loses_high_frequencies_and_keeps_times() -> None:
    noise = np.random.default_rng(2).standard_normal((CHANNELS, SAMPLES)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(augment.lower_rate(replace(spiked(), data=noise), 0.5).data)).mean(axis=0)
    assert spectrum[150:].mean() < 0.1 * spectrum[10:100].mean()
    lowered = augment.lower_rate(spiked(), 0.6)
    assert lowered.data.shape == spiked().data.shape
    assert_pulses_at_picks(lowered)
    np.testing.assert_array_equal(augment.lower_rate(spiked(), 0.9999).data, spiked().data)  # the ratio is 1


def test_averaged_neighbours_are_the_picker_s_rows() -> None:
    whole = spiked()
    whole.data[4] = 0
    whole = replace(whole, live=np.arange(CHANNELS) != 4)
    made = augment.average_channels(whole, 3)
    rows = CHANNELS // 3
    assert made.data.shape == (rows, SAMPLES)
    np.testing.assert_allclose(made.data[0], whole.data[:3].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(made.data[1], whole.data[[3, 5]].mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(made.arrivals[0, 0], 120 + 2.5 * (3 * np.arange(rows) + 1))
    assert made.dx_m == 30.0
    assert made.live.all()
    assert set(made.rejected[:, 0]) == set(whole.rejected[0, :3])
    assert augment.average_channels(whole, 1) is whole
    with pytest.raises(ConfigError, match="size: found"):
        augment.average_channels(whole, CHANNELS + 1)


def test_a_row_of_channels_that_know_and_do_not_is_unknown() -> None:
    arrivals = np.array(
        [[[100.0, 100, np.inf, -np.inf, 100, np.inf], [np.nan, 200, np.inf, np.inf, 200, 210]]]
    )
    made = augment.average_channels(Sample.of(np.ones((6, 400)), arrivals, DT_S), 2)
    np.testing.assert_array_equal(made.arrivals[0], [[100, np.nan, np.nan], [np.nan, np.inf, 205]])
    assert not made.live.any()


def test_missing_ends_take_their_arrivals_with_them() -> None:
    cut = augment.cut_ends(spiked(), 130, 330)
    assert not cut.data[:, :130].any()
    assert not cut.data[:, 330:].any()
    before, after = spiked().arrivals < 130, spiked().arrivals >= 330
    assert before.any()
    assert after.any()
    assert (cut.arrivals[before] == -np.inf).all()
    assert (cut.arrivals[after] == np.inf).all()
    stays = ~before & ~after
    np.testing.assert_array_equal(cut.arrivals[stays], spiked().arrivals[stays])
    assert np.isnan(cut.rejected).all()


EVERYTHING = AugmentSettings(
    flip=1, add_event=1, noise=1, snr_min_db=40, snr_max_db=60, dead=0.3, amplitude_dex=0.2, lower_rate=1,
    missing_ends=1, hidden=0.0, channel_polarity=1,
)  # fmt: skip


def varied(seed: int) -> Sample:
    rng = np.random.default_rng(seed)
    noise = np.random.default_rng(7).standard_normal((CHANNELS, SAMPLES)).astype(np.float32)
    return vary(spiked(), EVERYTHING, rng, other=spiked, noise=lambda: noise)


def test_all_together_still_move_together_and_depend_on_the_stream_alone() -> None:
    for seed in range(5):
        made = varied(seed)
        assert made.data.shape == (CHANNELS, SAMPLES)
        near_end = np.isfinite(made.arrivals)
        edges = np.flatnonzero(made.data[made.live].any(axis=0))
        near_end &= (made.arrivals > edges[0] + 20) & (made.arrivals < edges[-1] - 20)
        inner = replace(made, arrivals=np.where(near_end, made.arrivals, np.inf))
        assert_pulses_at_picks(inner, tolerance=1.1)
    np.testing.assert_array_equal(varied(3).data, varied(3).data)
    assert not np.array_equal(varied(3).data, varied(4).data)


def test_nothing_asked_is_nothing_done() -> None:
    nothing = {"amplitude_dex": 0.0, "hidden": 0.0} | dict.fromkeys(
        (
            "flip",
            "add_event",
            "noise",
            "dead",
            "reverse_polarity",
            "channel_polarity",
            "lower_rate",
            "missing_ends",
            "phase_ratio",
        ),
        0.0,
    )
    made = vary(spiked(), AugmentSettings(**nothing), np.random.default_rng(0))
    np.testing.assert_array_equal(made.data, spiked().data)
    assert made.live.all()
    still = AugmentSettings(stretch_time=1.0, stretch_space=1.0)
    assert draw_stretch(still, CHANNELS, np.random.default_rng(0)) == (1.0, 1.0, 1)


def test_stretches_stay_in_their_range() -> None:
    settings = AugmentSettings(stretch_time=1.5, stretch_space=3.0, average_channels=16)
    drawn = np.array([draw_stretch(settings, 512, np.random.default_rng(seed)) for seed in range(200)])
    assert drawn.min(axis=0) == pytest.approx([1 / 3, 1 / 1.5, 1], rel=0.05)
    assert drawn.max(axis=0) == pytest.approx([3, 1.5, 16], rel=0.05)


def test_averaging_leaves_enough_rows() -> None:
    settings = AugmentSettings(average_channels=16)
    drawn = [draw_stretch(settings, 64, np.random.default_rng(seed))[2] for seed in range(200)]
    assert set(drawn) == {1, 2, 3, 4}


def test_a_cable_that_is_too_short_runs_back_along_itself() -> None:
    short = Sample.of(np.arange(3.0)[:, None] * np.ones((1, 8)), np.arange(6.0).reshape(1, 2, 3), DT_S)
    made = augment.reflect_channels(short, -2, 7)
    order = [1, 0, 0, 1, 2, 2, 1]
    np.testing.assert_array_equal(made.data[:, 0], order)
    np.testing.assert_array_equal(made.arrivals[0, 0], order)
    assert made.live.shape == (7,)


@pytest.mark.parametrize("ratio", ["1/2", "63/64", "41/50", "13/10", "3"])
def test_resampling_is_that_of_scipy(ratio: str) -> None:
    exact, rng = Fraction(ratio), np.random.default_rng(0)
    data = (rng.standard_normal((3, 700)) + np.linspace(0, 5, 700)).astype(np.float32)
    sample = Sample.of(data, np.empty((0, 2, 3)), DT_S)
    expected = resample_poly(data, exact.numerator, exact.denominator, axis=1, padtype="line")
    np.testing.assert_allclose(augment.stretch_time(sample, float(exact)).data, expected, atol=1e-5)


def test_dead_channels_do_not_move_or_hide_the_labels_of_a_row() -> None:
    arrivals = np.array([[[100.0, 120, 140, 160], [np.nan, 220, np.nan, np.nan]]])
    whole = replace(Sample.of(np.ones((4, 400)), arrivals, DT_S), live=np.array([True, False, False, False]))
    made = augment.average_channels(whole, 4)
    np.testing.assert_array_equal(made.arrivals[0], [[100], [np.nan]])
    alive = replace(whole, live=np.array([False, True, False, False]))
    np.testing.assert_array_equal(augment.average_channels(alive, 4).arrivals[0], [[120], [220]])


@pytest.mark.parametrize(("hz", "time"), [(4000, 0.5), (5000, 0.5), (10_000, 1.0), (10_000, 0.5)])
def test_high_rates_are_stretched_as_asked(hz: float, time: float) -> None:
    factor = time * 100 / hz
    made = augment.stretch_time(
        Sample.of(np.ones((1, 10 * hz)), np.full((1, 2, 1), 5.0 * hz), 1 / hz), factor
    )
    assert made.data.shape[1] == pytest.approx(1000 * time, rel=0.01)
    assert made.arrivals[0, 0, 0] == pytest.approx(500 * time, rel=0.01)
