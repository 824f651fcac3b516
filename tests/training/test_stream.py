"""The stream of samples: keyed by seed, epoch and number, shared out to ranks without overlap."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import ConfigError, DeviceError
from phasenet_das.simulate import Record
from phasenet_das.training.dataset import (
    Key,
    SampleOrder,
    TrainingSamples,
    context_samples,
    make_noise,
    make_sources,
    normalize,
)
from phasenet_das.training.ddp import (
    AllReduceBatchNorm,
    World,
    find_world,
    first_node,
    synchronize_batch_norm,
)
from phasenet_das.training.validation import validate
from tests.training.tiny import MadeSource, TinyNet, tiny_net, tiny_settings


def order(count: int, *, batch: int, accumulate: int, rank: int, world: int, steps: tuple[int, int]) -> list:
    return list(
        SampleOrder(
            count, batch_size=batch, accumulate=accumulate, rank=rank, world=world, seed=4,
            first_step=steps[0], last_step=steps[1],
        )
    )  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 4), st.integers(1, 3), st.integers(1, 4), st.integers(0, 9))
def test_ranks_share_each_step_and_together_read_every_sample_once(
    count: int, batch: int, accumulate: int, world: int, first: int
) -> None:
    steps = (first, first + 6)
    ranks = [
        order(count, batch=batch, accumulate=accumulate, rank=rank, world=world, steps=steps)
        for rank in range(world)
    ]
    alone = order(count, batch=batch * accumulate * world, accumulate=1, rank=0, world=1, steps=steps)
    for step in range(6):
        part = slice(step * accumulate, (step + 1) * accumulate)
        together = [key for rank in ranks for keys in rank[part] for key in keys]
        assert sorted(together) == sorted(alone[step])
    read = [key for keys in alone for key in keys]
    assert len(set(read)) == len(read)
    whole = [
        key for keys in order(count, batch=count, accumulate=1, rank=0, world=1, steps=(0, 2)) for key in keys
    ]
    assert sorted(whole) == [(epoch, number) for epoch in range(2) for number in range(count)]


def test_a_sample_depends_on_its_key_alone(tmp_path: Path) -> None:
    made = [TrainingSamples([MadeSource(5), MadeSource(4)], tiny_settings(tmp_path)) for _ in range(2)]
    keys = [Key(0, 7), Key(0, 1), Key(3, 7)]
    forward = [made[0][key] for key in keys]
    backward = [made[1][key] for key in reversed(keys)][::-1]
    for one, other in zip(forward, backward, strict=True):
        for a, b in zip(one[1:], other[1:], strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert not torch.equal(forward[0][1], forward[2][1])
    # Numbers run through the sources.
    assert made[0].sources[1].drawn == [(0, 2), (3, 2)]
    assert made[0].sources[0].drawn == [(0, 1)]


def test_the_numpy_and_torch_generators_are_left_alone(tmp_path: Path) -> None:
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002 - what is tested
    TrainingSamples([MadeSource(5)], tiny_settings(tmp_path))[Key(0, 1)]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002 - what is tested
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("name", ["std", "moving", "moving-array", "none"])
def test_normalisation_leaves_silence_and_picks(tmp_path: Path, name: str) -> None:
    sample = MadeSource(1).draw(0, 0, np.random.default_rng(3))
    sample.data[2] = 0
    data = tiny_settings(tmp_path).data.model_copy(update={"normalization": name})
    made = normalize(sample, data)
    assert np.isfinite(made.data).all()
    assert not made.data[2].any()
    if name != "none":
        louder = normalize(sample.__class__(**{**vars(sample), "data": sample.data * 1000}), data)
        np.testing.assert_allclose(louder.data, made.data, rtol=1e-3, atol=1e-4)


def record(seed: int) -> Record:
    rng = np.random.default_rng(seed)
    data = 0.01 * rng.standard_normal((3, 3000))
    time = np.arange(3000)
    for arrival, height in ((1000, 1.0), (1400, 3.0)):
        shake = np.where(time >= arrival, np.exp(-(time - arrival) / 200.0), 0)
        data += height * shake * rng.standard_normal((3, 3000))
    return Record(data.astype(np.float32), 0.01, 1000.0, 1400.0)


def test_simulated_sections_come_new_each_epoch(tmp_path: Path) -> None:
    import h5py

    records = [record(seed) for seed in range(6)]
    with h5py.File(tmp_path / "records.h5", "w") as file:
        file["data"] = np.stack([item.data for item in records])
        file["data"].attrs["dt_s"] = 0.01
        file["itp"], file["its"] = np.full(6, 1000), np.full(6, 1400)
    data = {
        "records": str(tmp_path / "records.h5"), "sections_per_epoch": 3, "num_channels": 12,
        "num_samples": 256,
        "validation_fraction": 0.3, "section": {"noise_only": 0.0, "lag_min_s": 0.3},
    }  # fmt: skip
    settings = tiny_settings(tmp_path, data=data)
    (training,), (validation,) = make_sources(settings)
    assert len(training) == 3
    kept, held_out = ({item.name for item in source.sections.records} for source in (training, validation))
    assert len(kept) == 4
    assert len(held_out) == 2
    assert not kept & held_out
    rng = np.random.default_rng(0)
    first, again, next_epoch = (training.draw(epoch, 1, rng) for epoch in (0, 0, 1))
    np.testing.assert_array_equal(first.data, again.data)
    assert not np.array_equal(first.data, next_epoch.data)
    context = context_samples(settings.data)
    assert first.data.shape == (12, 256 + 2 * context)
    assert not np.isnan(first.arrivals).any()
    noise = make_noise(settings.data, 0).draw(np.random.default_rng(1), vehicles=True)
    assert noise.shape == (12, 256 + 2 * context)
    samples = TrainingSamples([training], settings, make_noise(settings.data, 0))
    _, tensor, targets, mask = samples[Key(0, 2)]
    assert (tensor.shape, targets.shape, mask.shape) == ((1, 12, 256), (3, 12, 256), (12, 256))


class Oracle(torch.nn.Module):
    """Finds the spikes of the made samples: upward ones are P, downward ones S."""

    def __init__(self, shift: int = 0) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, data: torch.Tensor) -> torch.Tensor:
        spikes = torch.roll(torch.cat([torch.full_like(data, 1.5), data, -data], dim=1), self.shift, dims=-1)
        return 10 * spikes


def test_validation_counts_right_picks(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, tolerance_p_s=0.006, tolerance_s_s=0.006)
    samples = TrainingSamples([MadeSource(6)], settings, varied=False)
    right = validate(Oracle(), samples, settings, World())
    assert right["p_recall"] > 0.9
    assert right["s_recall"] > 0.9
    assert right["s_precision"] > 0.9
    assert abs(right["s_bias_s"]) < 0.003
    assert right["f1"] == pytest.approx((right["p_f1"] + right["s_f1"]) / 2)
    late = validate(Oracle(shift=2), samples, settings, World())
    assert late["s_recall"] == 0
    loose = settings.model_copy(update={"tolerance_s_s": 0.05})
    assert validate(Oracle(shift=2), samples, loose, World())["s_bias_s"] == pytest.approx(0.02, abs=0.003)
    silent = validate(tiny_net(), samples, settings.model_copy(update={"min_score": 0.999}), World())
    assert silent["p_f1"] == 0
    assert np.isnan(silent["p_precision"])


@pytest.fixture
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def test_the_world_is_found_in_the_environment(no_launcher: pytest.MonkeyPatch) -> None:
    assert find_world("cpu") == World()
    for name, value in (("SLURM_PROCID", "5"), ("SLURM_STEP_NUM_TASKS", "8"), ("SLURM_LOCALID", "1")):
        no_launcher.setenv(name, value)
    assert find_world("cpu") == World(5, 1, 8)
    for name, value in (("RANK", "2"), ("WORLD_SIZE", "4"), ("LOCAL_RANK", "0")):
        no_launcher.setenv(name, value)
    assert find_world("cpu") == World(2, 0, 4)
    with pytest.raises(ConfigError, match="device"):
        find_world("gpu")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="no GPU"):
            find_world("cuda")


@pytest.mark.parametrize(
    ("nodes", "first"),
    [("gpu[03-05,9],big1", "gpu03"), ("node7", "node7"), ("a1,a2", "a1"), ("r[1,4]n", "r1n")],
)
def test_the_first_node_of_a_slurm_list(nodes: str, first: str) -> None:
    assert first_node(nodes) == first


def test_batch_norms_are_replaced_under_their_names() -> None:
    net = torch.nn.Sequential(tiny_net(), torch.nn.BatchNorm2d(3))
    names = list(net.state_dict())
    alone = synchronize_batch_norm(net, World())
    assert not any(isinstance(module, AllReduceBatchNorm) for module in alone.modules())
    replaced = synchronize_batch_norm(net, World(size=2))
    assert sum(isinstance(module, AllReduceBatchNorm) for module in replaced.modules()) == 2
    assert list(replaced.state_dict()) == names
    data = torch.randn(2, 1, 8, 32)
    torch.testing.assert_close(replaced.eval()(data), net.eval()(data))
    assert isinstance(net[0], TinyNet)
