"""Batches made on a GPU are normalised and labelled as samples made one by one."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from bench_kinds import KINDS
from bundled_training import Learner, keep, resume
from training_batches import CHANNELS, LENGTH, SAMPLES, Batch, BatchMaker, Known, PlanSource, label, normalize
from training_store import SCENARIOS, TURNS, harder

from phasenet_das.config import AugmentSettings
from phasenet_das.picking.normalization import moving_normalization
from phasenet_das.simulate import scenario
from phasenet_das.training.sample import Sample
from phasenet_das.training.targets import make_mask, make_targets

AS_IT_IS = AugmentSettings(
    stretch_time=1.0, stretch_space=1.0, flip=0.0, add_event=0.0, noise=0.0, dead=0.0, hidden=0.0,
    amplitude_dex=0.0, reverse_polarity=0.0, channel_polarity=0.0, lower_rate=0.0, missing_ends=0.0,
    phase_ratio=0.0,
)  # fmt: skip


def test_normalisation_is_that_of_pickers() -> None:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((CHANNELS, LENGTH)).astype(np.float32) * rng.lognormal(size=(CHANNELS, 1)) + 3
    data[3], data[5, :3000], data[:, 4000:4300] = 0, 0, 30 * data[:, 4000:4300]
    data = data.astype(np.float32)
    wanted = moving_normalization(data, 0.01, first_index=0, window_s=20.0)
    found = normalize(torch.from_numpy(data)[None])[0].numpy()
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_targets_and_masks_are_those_of_training() -> None:
    rng = np.random.default_rng(0)
    events = np.full((3, 2, CHANNELS), np.inf)
    events[0] = 500 + rng.uniform(-3, 3, CHANNELS), 900 + np.arange(CHANNELS)
    events[1, 0], events[1, 1] = -50, np.arange(CHANNELS) * 3.3 + 10  # its P lies before the sample
    events[2, 0] = 510  # overlaps the first P
    live = np.arange(CHANNELS) != 7
    sure, none = np.ones(events.shape, np.float32), np.empty((0, CHANNELS))
    sample = Sample(np.zeros((CHANNELS, SAMPLES), np.float32), events, sure, none, live, 0.01)
    targets, mask = label(torch.from_numpy(events)[None].float(), torch.from_numpy(live)[None])
    np.testing.assert_allclose(targets[0], make_targets(sample, 0.1), atol=1e-5)
    # Spans begin and end at whole samples around rounded arrivals here.
    assert np.abs(mask[0].numpy() - make_mask(sample, 0.1, 1.0)).sum() <= 2 * CHANNELS


def test_labels_lie_on_the_pulses_of_the_samples() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(9000)
    p = 4000 + 2.0 * np.arange(120)
    arrivals = np.stack([p, p + 700])[None]
    data = 0.05 * rng.standard_normal((120, 9000))
    for times in arrivals[0]:
        data += np.exp(-(((time - times[:, None]) / 4) ** 2))
    maker = BatchMaker("cpu")
    live = np.ones(120, bool)
    maker.add(data.astype(np.float16), live)
    windows = [Known("section", arrivals.astype(np.float32), live, 9000)]
    settings = AS_IT_IS.model_copy(update={"stretch_time": 1.5, "stretch_space": 1.5, "average_channels": 2})
    source = PlanSource(windows, settings, batch_size=6, seed=0, first=0, count=1, bent=0.5, quiet=0.0)
    batch = maker(source[0])
    peaks = (batch.targets[:, 1:].amax(1) > 0.97) & (batch.mask > 0)
    assert peaks.sum() > 500
    near = torch.nn.functional.max_pool1d(batch.data[:, 0], 9, 1, 4)
    assert (near[peaks] > 5).float().mean() > 0.99
    assert torch.equal(maker(source[0]).data, batch.data)


def test_a_run_that_was_stopped_goes_on_from_its_last_round(tmp_path: Path) -> None:
    options = argparse.Namespace(out=tmp_path, device="cpu")
    first, again = (Learner.of("lean", None, 1e-3, "cpu") for _ in range(2))
    assert resume([first], options) == (0, 0.0)
    rng = np.random.default_rng(0)
    data = torch.from_numpy(rng.standard_normal((1, 1, 32, 512)).astype(np.float32))
    targets = torch.full((1, 3, 32, 512), 1 / 3)
    batch = Batch(data, targets, torch.ones(1, 32, 512))
    losses = [first.step(batch, 0.5, number) for number in range(3)]
    keep([first], options, 3, 12.5)
    assert resume([again], options) == (3, 12.5)
    assert first.step(batch, 0.5, 3) == again.step(batch, 0.5, 3) < losses[0]
    for mine, other in zip(first.average.model.parameters(), again.average.model.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_wells_ring_and_glaciers_are_noisy_in_turn() -> None:
    well, glacier = scenario("borehole"), scenario("glacier")
    assert [harder(well, "ringing", step).waves.multipath for step in range(4)] == [5.0, 10.0, 20.0, 5.0]
    noise = [harder(glacier, "noisy", step).noise.optical_rms for step in range(2)]
    assert noise == [2 * glacier.noise.optical_rms, 4 * glacier.noise.optical_rms]
    assert {turn.split()[-1] for turn in TURNS} <= set(SCENARIOS) | set(KINDS)
