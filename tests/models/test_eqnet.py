"""EQNet is the network that published checkpoints fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from phasenet_das.errors import DataFormatError
from phasenet_das.models import EQNet, build_model


def _fill_with_known_weights(model: EQNet) -> None:
    state = model.state_dict()
    for i, name in enumerate(sorted(state)):
        if name.endswith(("num_batches_tracked", "laplace_kernel")):
            continue
        shape = tuple(state[name].shape)
        z = np.random.default_rng(i).standard_normal(shape)
        if name.endswith("running_var"):
            value = 1 + 0.1 * np.abs(z)
        elif len(shape) == 1:
            value = 1 + 0.1 * z if name.endswith("weight") else 0.1 * z
        else:
            value = z * np.sqrt(2 / np.prod(shape[1:]))
        state[name].copy_(torch.from_numpy(value.astype(np.float32)))


@pytest.mark.shared
def test_equals_the_reference(shared: Path) -> None:
    reference = np.load(shared / "reference" / "eqnet_phasenet_das_reference.npz")
    model = EQNet().eval()
    shapes = {name: str(list(value.shape)) for name, value in model.state_dict().items()}
    assert shapes == dict(zip(reference["names"].tolist(), reference["shapes"].tolist(), strict=True))
    _fill_with_known_weights(model)
    data = np.random.default_rng(12345).standard_normal((1, 1, 2048, 1024)).astype(np.float32)
    with torch.inference_mode():
        logits = model.fused()(torch.from_numpy(data).transpose(-1, -2))
    found = torch.softmax(logits, dim=1).transpose(-1, -2)[0, :, ::16, ::16].numpy()
    assert np.abs(found - reference["prob_every_16"]).max() < 1e-4


def test_has_the_published_number_of_parameters() -> None:
    model = build_model("eqnet", {})
    assert sum(p.numel() for p in model.parameters()) == pytest.approx(10.68e6, rel=1e-3)


@pytest.mark.parametrize("shape", [(64, 1280), (37, 1025)])
def test_output_has_the_shape_of_the_input(shape: tuple[int, int]) -> None:
    model = EQNet().fused()
    with torch.inference_mode():
        out = model(torch.randn(1, 1, *shape))
    assert out.shape == (1, 3, *shape)
    assert torch.isfinite(out).all()


def test_gain_and_offset_of_a_channel_do_not_show() -> None:
    model = EQNet().fused()
    data = torch.randn(1, 1, 16, 1536, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(model(data * 1e-8 + 1e-7), model(data), atol=1e-2, rtol=1e-2)


def test_silence_is_finite_and_a_short_input_is_refused() -> None:
    model = EQNet().fused()
    with torch.inference_mode():
        assert torch.isfinite(model(torch.zeros(1, 1, 8, 1025))).all()
    with pytest.raises(DataFormatError, match="1025 or more"):
        model(torch.zeros(1, 1, 8, 1024))
