"""Distillation: the teacher is heard as the picker hears it, targets are mixed as said, and runs go on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from distillation import (
    DistillationSamples,
    Teacher,
    TraceSet,
    distill,
    load_traces,
    save_traces,
)

from phasenet_das import io
from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError, DataFormatError, WeightsError
from phasenet_das.models import Weights, load_weights, save_weights
from phasenet_das.models.phasenet import PhaseNet
from phasenet_das.picking import load_picker
from phasenet_das.training.dataset import Key
from phasenet_das.training.targets import make_targets

SAMPLES, WINDOW = 400, 256


def settings(output: Path, **changes: Any) -> TrainSettings:
    values: dict[str, Any] = {
        "output": str(output),
        "architecture": "phasenet",
        "model_args": {"in_channels": 1, "filters": 2, "window_samples": WINDOW},
        "data": {"num_channels": 6, "num_samples": WINDOW, "normalization": "std", "label_sigma_s": 0.05},
        "steps": 40,
        "batch_size": 2,
        "learning_rate": 0.02,
        "warmup_steps": 4,
        "ema_decay": 0.8,
        "save_every": 10,
        "num_workers": 0,
        "device": "cpu",
        **changes,
    }
    return TrainSettings(**values)


def traces(count: int = 24, seed: int = 1) -> TraceSet:
    """P and S as bursts in noise."""
    rng = np.random.default_rng(seed)
    data = 0.1 * rng.standard_normal((count, SAMPLES))
    p = rng.uniform(100, 180, count)
    arrivals = np.stack([p, p + 60], axis=1)[:, None]
    time = np.arange(SAMPLES)
    for row in range(count):
        for first, size, period in zip(arrivals[row, 0], (1.0, 3.0), (6, 20), strict=True):
            after = np.maximum(time - first, 0)
            data[row] += size * (after > 0) * np.exp(-after / 15) * np.sin(2 * np.pi * after / period)
    return TraceSet(data.astype(np.float16), arrivals)


def half_of_p(windows: np.ndarray) -> np.ndarray:
    """Say P with one half everywhere, and S nowhere."""
    return np.stack([np.full(windows.shape, 0.5, np.float32), np.zeros(windows.shape, np.float32)])


def small_network(folder: Path) -> Weights:
    torch.manual_seed(0)
    args = {"in_channels": 3, "filters": 2, "window_samples": WINDOW}
    save_weights(
        folder,
        PhaseNet(**args),
        architecture="phasenet",
        model_args=args,
        sampling_rate_hz=100.0,
        phases="NPS",
        component_order="ENZ",
        normalization="std",
        window_samples=WINDOW,
        provenance={},
    )
    return load_weights(folder)


def test_the_teacher_says_what_its_picker_says(tmp_path: Path) -> None:
    weights = small_network(tmp_path)
    data = traces(4).data[:, :WINDOW].astype(np.float32)
    patch = io.make_patch(data, start_time="1970-01-01", dt_s=0.01, station_id="X", unit="1")
    expected = load_picker(tmp_path).annotate(patch)[0].transpose("phase", "channel", "time").to_numpy()
    centred = data - data.mean(axis=1, keepdims=True)
    found = Teacher(weights)(centred / centred.std(axis=1, keepdims=True))
    np.testing.assert_allclose(found, expected[1:], atol=2e-3)


def test_a_teacher_must_be_a_phasenet() -> None:
    with pytest.raises(WeightsError, match="expected a phasenet"):
        Teacher(load_weights("phasenet-das"))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_targets_are_the_stated_mixture(share: float, tmp_path: Path) -> None:
    samples = DistillationSamples([replace(traces(), truth_share=share)], settings(tmp_path), half_of_p)
    key, data, targets, mask = samples[Key(0, 3)]
    sample = samples.sample(key)
    truth = make_targets(sample, 0.05)
    np.testing.assert_allclose(data[0].std(dim=1, correction=0), 1, atol=1e-3)
    np.testing.assert_allclose(targets.sum(dim=0), 1, atol=1e-3)
    np.testing.assert_allclose(targets[1], share * truth[1] + (1 - share) * 0.5, atol=1e-6)
    np.testing.assert_allclose(targets[2], share * truth[2], atol=1e-6)
    assert mask.min() == 1


def test_windows_are_mixed_for_training_alone(tmp_path: Path) -> None:
    def events(varied: bool) -> list[int]:
        samples = DistillationSamples([traces()], settings(tmp_path), half_of_p, varied=varied)
        drawn = [samples.sample(Key(0, number)).arrivals for number in range(8)]
        return [int(count) for one in drawn for count in np.isfinite(one[:, 0]).sum(axis=0)]

    assert set(events(varied=False)) == {1}
    mixed = events(varied=True)
    assert set(mixed) == {1, 2}
    assert 0.25 < np.mean(np.array(mixed) == 2) < 0.75


def test_each_kind_of_traces_has_its_own_share_of_truth(tmp_path: Path) -> None:
    kinds = [replace(traces(), truth_share=share) for share in (0.2, 0.9)]
    samples = DistillationSamples(kinds, settings(tmp_path), half_of_p)
    found = set()
    for number in range(8):
        _, _, targets, _ = samples[Key(0, number)]
        peaks, truth = targets[2].amax(1), make_targets(samples.sample(Key(0, number)), 0.05)[2].max(axis=1)
        found |= {round(float(peak / top), 2) for peak, top in zip(peaks, truth, strict=True) if top > 0.5}
    assert found == {0.2, 0.9}


def test_samples_depend_on_their_key_alone(tmp_path: Path) -> None:
    first, again = (DistillationSamples([traces()], settings(tmp_path), half_of_p) for _ in range(2))
    again[Key(0, 0)]
    torch.testing.assert_close(first[Key(1, 2)][1:], again[Key(1, 2)][1:])
    assert not torch.equal(first[Key(1, 2)][1], first[Key(2, 2)][1])


def test_traces_survive_the_disk(tmp_path: Path) -> None:
    made = traces(3)
    read = load_traces(save_traces(made, tmp_path / "traces.npz"), share=0.2)
    for name in ("data", "arrivals"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    (tmp_path / "traces.npz").write_bytes(b"PK not a file")
    with pytest.raises(DataFormatError, match="make it anew"):
        load_traces(tmp_path / "traces.npz")


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    made = traces(3)
    with pytest.raises(DataFormatError, match="Expected"):
        TraceSet(made.data, made.arrivals[:, :, :1])
    with pytest.raises(ConfigError, match="truth_share"):
        TraceSet(made.data, made.arrivals, truth_share=1.5)
    short = TraceSet(made.data[:, :50], made.arrivals)
    with pytest.raises(ConfigError, match="one length"):
        DistillationSamples([made, short], settings(tmp_path), half_of_p)
    teacher = small_network(tmp_path)
    with pytest.raises(ConfigError, match="expected phasenet"):
        distill(settings(tmp_path, architecture="phasenet-das"), [made], teacher=teacher)
    with pytest.raises(ConfigError, match="nothing to learn"):
        distill(settings(tmp_path), [], teacher=teacher)


def test_it_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    teacher, known = small_network(tmp_path), replace(traces(), truth_share=1.0)
    whole = distill(settings(tmp_path / "whole"), [known], teacher=teacher)
    again = distill(settings(tmp_path / "whole"), [known], teacher=teacher)  # nothing is left to do
    assert (whole.step, again.step) == (40, 40)
    log = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    losses = [float(line.split(",")[3]) for line in log[1:]]
    assert losses[-1] < 0.7 * losses[0]
    weights = load_weights(whole.folder)
    assert isinstance(weights.model, PhaseNet)
    assert (weights.model.in_channels, weights.component_order, weights.window_samples) == (1, "1", WINDOW)
