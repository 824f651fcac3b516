"""PhaseNet-DAS keeps what it declares: stride, halo, and a core that no tile edge reaches."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.errors import ConfigError, DataFormatError, WeightsError
from phasenet_das.models import PhaseNetDAS, build_model, load_weights, save_weights, strips
from phasenet_das.models.cells import CellConv2d, CellConvTranspose2d
from phasenet_das.models.strips import StripNetwork

SMALL = {
    "widths": (4, 6, 8),
    "strides": ((2, 4), (2, 2), (1, 2)),
    "kernels": ((3, 5), (3, 3), (1, 3)),
    "depths": (1, 0, 2),
}


def _model(seed: int = 0, **kwargs: object) -> PhaseNetDAS:
    torch.manual_seed(seed)
    model = PhaseNetDAS(**{**SMALL, **kwargs}).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.bias.data.normal_()
    return model


@pytest.mark.parametrize("model_args", [{}, {"separable": True}, SMALL])
def test_an_input_reaches_as_far_as_the_halo_says(model_args: dict[str, object]) -> None:
    """NaN spreads through every multiplication, so it shows every dependence, however weak."""
    model = PhaseNetDAS(**model_args).fused()
    stride, halo = model.stride, model.halo
    shape = [2 * halo[axis] + 3 * stride[axis] for axis in range(2)]
    data = torch.zeros(1, 1, *shape)
    middle = [slice(halo[axis] + stride[axis], halo[axis] + 2 * stride[axis]) for axis in range(2)]
    outside = torch.ones(shape, dtype=torch.bool)
    outside[stride[0] : -stride[0], stride[1] : -stride[1]] = False
    data[0, 0, outside] = torch.nan
    with torch.inference_mode():
        assert torch.isfinite(model(data)[0, :, middle[0], middle[1]]).all()
        for axis in range(2):
            near = torch.zeros(1, 1, *shape)
            cells = [slice(None), slice(None)]
            cells[axis] = slice(0, 3 * stride[axis])
            near[0, 0, cells[0], cells[1]] = torch.nan
            assert torch.isnan(model(near)[0, :, middle[0], middle[1]]).any(), "the halo is too wide"


@settings(max_examples=25, deadline=None)
@given(
    first=st.tuples(st.integers(0, 6), st.integers(0, 12)),
    size=st.tuples(st.integers(1, 8), st.integers(1, 12)),
    strip=st.integers(1, 32),
    separable=st.booleans(),
)
def test_strips_give_the_core_of_the_whole(
    first: tuple[int, int], size: tuple[int, int], strip: int, separable: bool
) -> None:
    model = _model(separable=separable)
    shape = (8 * model.stride[0], 14 * model.stride[1])
    core = tuple(
        (a * s, min(n, (a + b) * s)) for a, b, s, n in zip(first, size, model.stride, shape, strict=True)
    )
    data = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        whole = torch.softmax(model(data[None, None]), dim=1)[0]
    (c0, c1), (t0, t1) = core
    for bfloat16, apart in ((False, 1e-5), (True, 0.05)):
        network = StripNetwork(model, torch.device("cpu"), bfloat16=bfloat16)
        part = torch.cat(list(network(data.split(strip), shape, core)), dim=1)
        torch.testing.assert_close(part, whole[:, c0:c1, t0:t1], atol=apart, rtol=0)


@pytest.mark.parametrize("bfloat16", [False, True])
def test_strips_need_no_onednn(monkeypatch: pytest.MonkeyPatch, bfloat16: bool) -> None:
    model = _model()
    shape = (8 * model.stride[0], 4 * model.stride[1])
    data = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    network = StripNetwork(model, torch.device("cpu"), bfloat16=bfloat16)

    def scores() -> torch.Tensor:
        return torch.cat(list(network(data.split(8), shape, ((0, shape[0]), (0, shape[1])))), dim=1)

    usual = scores()
    monkeypatch.setattr(strips, "_onednn_takes", lambda dtype: False)  # noqa: ARG005
    torch.testing.assert_close(scores(), usual, atol=0.05 if bfloat16 else 1e-5, rtol=0)


def test_the_default_sees_tens_of_seconds_and_kilometres() -> None:
    """At 100 Hz and 10 m: how far the core of a tile sees, both sides together."""
    model = PhaseNetDAS()
    assert 2 * model.halo[0] * 10 >= 1900
    assert 2 * model.halo[1] * 0.01 >= 20
    assert sum(p.numel() for p in model.parameters()) * 4 < 12e6


@pytest.mark.parametrize("separable", [False, True])
def test_folding_batch_norm_changes_nothing(separable: bool) -> None:
    model = _model(separable=separable)
    data = torch.randn(2, 1, 16, 64)
    with torch.inference_mode():
        torch.testing.assert_close(model.fused()(data), model(data), atol=1e-4, rtol=1e-4)
    assert any(isinstance(module, torch.nn.BatchNorm2d) for module in model.modules())


def test_scores_resolve_single_samples() -> None:
    """Every sample of a cell has weights of its own: neighbours are not copies."""
    with torch.inference_mode():
        out = _model()(torch.randn(1, 1, 16, 64))
    assert (out.diff(dim=-1).abs() > 0).all()
    assert (out.diff(dim=-2).abs() > 0).all()


def test_every_parameter_learns() -> None:
    model = _model().train()
    model(torch.randn(2, 1, 16, 64)).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_an_arrival_can_be_learned_to_the_sample() -> None:
    """A few steps bring the score of an impulse's sample above all others, wherever it lies in its cell."""
    torch.manual_seed(0)
    model = PhaseNetDAS(widths=(8,), strides=((2, 4),), kernels=((3, 3),), depths=(1,))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    weight = torch.tensor([1.0, 30.0, 1.0])
    for _ in range(60):
        sample = torch.randint(4, 60, (8, 1))
        target = (torch.arange(64) == sample).float()
        data = 10 * target[:, None, None, :].repeat(1, 1, 4, 1)
        label = target.long()[:, None].repeat(1, 4, 1)
        loss = torch.nn.functional.cross_entropy(model(data), label, weight)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.inference_mode():
        found = model(data)[:, 1].argmax(dim=-1)
    assert (found == sample).float().mean() > 0.9


def test_survives_a_round_trip(tmp_path: Path) -> None:
    model = _model()
    save_weights(
        tmp_path / "mine",
        model,
        architecture="phasenet-das",
        model_args=model.model_args,
        sampling_rate_hz=100.0,
        phases="NPS",
        component_order="1",
        normalization="moving",
        window_samples=3000,
        provenance={"license": "MIT"},
    )
    loaded = load_weights(tmp_path / "mine").model
    assert (loaded.stride, loaded.halo, loaded.model_args) == (model.stride, model.halo, model.model_args)
    data = torch.randn(1, 1, 16, 64)
    with torch.inference_mode():
        torch.testing.assert_close(loaded(data), model(data))
    config = tmp_path / "mine" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "normalization": "std"}))
    with pytest.raises(WeightsError, match="Understood for phasenet-das: moving"):
        load_weights(tmp_path / "mine")


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"widths": (4, 6)}, "one value for each level"),
        ({"strides": ((2, 3), (2, 2), (1, 2))}, "even numbers, or 1"),
        ({"kernels": ((2, 5), (3, 3), (1, 3))}, "odd numbers"),
        ({"kernels": ((3,), (3, 3), (1, 3))}, "channel and time"),
    ],
)
def test_impossible_shapes_are_refused(model_args: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PhaseNetDAS(**{**SMALL, **model_args})


def test_inputs_off_the_grid_and_unknown_names_are_refused() -> None:
    with pytest.raises(DataFormatError, match="multiples of"):
        _model()(torch.zeros(1, 1, 16, 65))
    with pytest.raises(WeightsError, match="Did you mean 'phasenet-das'"):
        build_model("phasenet_das", {})
    with pytest.raises(WeightsError, match="width"):
        build_model("phasenet-das", {"width": 3})


def test_strong_amplitudes_are_compressed_alike_in_training_and_inference() -> None:
    torch.manual_seed(0)
    model = PhaseNetDAS(widths=(4, 4, 4, 4)).eval()
    data = 30 * torch.randn(1, 1, 32, 512)
    training = model(data).detach()
    with torch.inference_mode():
        torch.testing.assert_close(model(data), training, rtol=1e-5, atol=1e-5)
        plain = PhaseNetDAS(widths=(4, 4, 4, 4), compress=False).eval()
        plain.load_state_dict(model.state_dict())
        torch.testing.assert_close(plain(torch.asinh(data)), training, rtol=1e-5, atol=1e-5)


def test_gradients_in_bfloat16_point_where_those_of_float32_do() -> None:
    """Where a library's bfloat16 layer is wrong, all layers before it learn from noise."""
    torch.manual_seed(0)
    model = PhaseNetDAS().train().to(memory_format=torch.channels_last)
    data, towards = torch.randn(2, 1, 64, 1024), torch.randn(2, 3, 64, 1024)
    gradients = []
    for bfloat16 in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            logits = model(data)
        (logits.float() * towards).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for single, half in zip(*gradients, strict=True):
        assert torch.cosine_similarity(single.flatten(), half.flatten(), dim=0) > 0.9


@pytest.mark.parametrize(
    "layer",
    [
        CellConv2d(1, 5, (4, 12), (2, 4), (1, 4)),
        CellConv2d(2, 5, (4, 8), (2, 4), (1, 2), bias=False),
        CellConvTranspose2d(5, 3, (2, 4), (2, 4)),
        CellConvTranspose2d(5, 6, (2, 4), (2, 4), bias=False),
        CellConvTranspose2d(5, 3, (2, 2), (2, 2)),
    ],
)
def test_products_of_matrices_are_the_convolution(layer: torch.nn.Conv2d | torch.nn.ConvTranspose2d) -> None:
    learns = isinstance(layer, CellConvTranspose2d)  # the other sees recordings
    data = torch.randn(2, layer.in_channels, 6, 32).requires_grad_(learns)
    found = []
    for bfloat16 in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            out = layer(data)
        towards = torch.linspace(-1, 1, out.numel()).view(out.shape)
        inputs = [*layer.parameters(), *([data] if learns else [])]
        found.append([out, *torch.autograd.grad((out * towards).sum(), inputs)])
    for single, half in zip(*found, strict=True):
        assert half.shape == single.shape
        torch.testing.assert_close(half.float(), single, rtol=0, atol=0.02 * single.abs().max().item())
