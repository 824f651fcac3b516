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
    TraceSet,
    distill,
    load_traces,
    save_traces,
    teacher_scores,
)

from phasenet_das import io
from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError, DataFormatError, WeightsError
from phasenet_das.models import load_weights, save_weights
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
    """P and S as bursts in noise; the teacher is right on P and never sees S."""
    rng = np.random.default_rng(seed)
    data = 0.1 * rng.standard_normal((count, SAMPLES))
    p = rng.uniform(100, 180, count)
    arrivals = np.stack([p, p + 60], axis=1)[:, None]
    scores = np.zeros((count, 2, SAMPLES))
    time = np.arange(SAMPLES)
    for row in range(count):
        for first, size, period in zip(arrivals[row, 0], (1.0, 3.0), (6, 20), strict=True):
            after = np.maximum(time - first, 0)
            data[row] += size * (after > 0) * np.exp(-after / 15) * np.sin(2 * np.pi * after / period)
        scores[row, 0] = np.exp(-0.5 * ((time - p[row]) / 5) ** 2)
    return TraceSet(data.astype(np.float16), scores.astype(np.float16), arrivals)


def test_the_teacher_says_what_its_picker_says(tmp_path: Path) -> None:
    torch.manual_seed(0)
    args = {"in_channels": 3, "filters": 2, "window_samples": WINDOW}
    save_weights(
        tmp_path,
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
    data = traces(4).data.astype(np.float32)
    patch = io.make_patch(data, start_time="1970-01-01", dt_s=0.01, station_id="X", unit="1")
    expected = load_picker(tmp_path).annotate(patch)[0].transpose("channel", "phase", "time").to_numpy()
    found = teacher_scores(load_weights(tmp_path), data)
    np.testing.assert_allclose(found, expected[:, 1:], atol=2e-3)


def test_a_teacher_must_be_a_phasenet() -> None:
    with pytest.raises(WeightsError, match="expected a phasenet"):
        teacher_scores(load_weights("phasenet-das"), np.zeros((1, SAMPLES)))


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_targets_are_the_stated_mixture(share: float, tmp_path: Path) -> None:
    samples = DistillationSamples([replace(traces(), truth_share=share)], settings(tmp_path))
    key, data, targets, mask = samples[Key(0, 3)]
    sample = samples.sample(key)
    truth = make_targets(sample, 0.05)
    np.testing.assert_allclose(data[0].std(dim=1, correction=0), 1, atol=1e-3)
    np.testing.assert_allclose(targets.sum(dim=0), 1, atol=1e-3)
    np.testing.assert_allclose(targets[2], share * truth[2], atol=1e-6)  # the teacher never says S
    np.testing.assert_allclose(targets[1], truth[1], atol=0.02)  # and is right on P
    assert mask.min() == 1


def test_each_kind_of_traces_has_its_own_share_of_truth(tmp_path: Path) -> None:
    kinds = [replace(traces(), truth_share=share) for share in (0.2, 0.9)]
    samples = DistillationSamples(kinds, settings(tmp_path))
    found = set()
    for number in range(8):
        _, _, targets, _ = samples[Key(0, number)]
        peaks, truth = targets[2].amax(1), make_targets(samples.sample(Key(0, number)), 0.05)[2].max(axis=1)
        found |= {round(float(peak / top), 2) for peak, top in zip(peaks, truth, strict=True) if top > 0.5}
    assert found == {0.2, 0.9}


def test_samples_depend_on_their_key_alone(tmp_path: Path) -> None:
    first, again = (DistillationSamples([traces()], settings(tmp_path)) for _ in range(2))
    again[Key(0, 0)]
    torch.testing.assert_close(first[Key(1, 2)][1:], again[Key(1, 2)][1:])
    assert not torch.equal(first[Key(1, 2)][1], first[Key(2, 2)][1])


def test_traces_survive_the_disk(tmp_path: Path) -> None:
    made = traces(3)
    read = load_traces(save_traces(made, tmp_path / "traces.npz"), share=0.2)
    for name in ("data", "scores", "arrivals"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    (tmp_path / "traces.npz").write_bytes(b"PK not a file")
    with pytest.raises(DataFormatError, match="make it anew"):
        load_traces(tmp_path / "traces.npz")


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    made = traces(3)
    with pytest.raises(DataFormatError, match="expected"):
        TraceSet(made.data, made.scores[:, :1], made.arrivals)
    with pytest.raises(ConfigError, match="truth_share"):
        TraceSet(made.data, made.scores, made.arrivals, truth_share=1.5)
    short = TraceSet(made.data[:, :50], made.scores[..., :50], made.arrivals)
    with pytest.raises(ConfigError, match="one length"):
        DistillationSamples([made, short], settings(tmp_path))
    with pytest.raises(ConfigError, match="expected phasenet"):
        distill(settings(tmp_path, architecture="phasenet-das"), [made])
    with pytest.raises(ConfigError, match="nothing to learn"):
        distill(settings(tmp_path), [])


def test_it_learns_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = distill(settings(tmp_path / "whole"), [traces()])
    again = distill(settings(tmp_path / "whole"), [traces()])  # nothing is left to do
    assert (whole.step, again.step) == (40, 40)
    log = (tmp_path / "whole" / "log.csv").read_text().splitlines()
    losses = [float(line.split(",")[3]) for line in log[1:]]
    assert losses[-1] < 0.7 * losses[0]
    weights = load_weights(whole.folder)
    assert isinstance(weights.model, PhaseNet)
    assert (weights.model.in_channels, weights.component_order, weights.window_samples) == (1, "1", WINDOW)
