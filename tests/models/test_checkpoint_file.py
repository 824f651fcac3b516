"""A published PhaseNet-DAS checkpoint is given as a file."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from phasenet_das.errors import WeightsError
from phasenet_das.models import load_weights
from phasenet_das.models.eqnet import EQNet


@pytest.fixture(scope="module")
def network() -> EQNet:
    torch.manual_seed(1)
    return EQNet()


@pytest.mark.parametrize("wrapped", ["bare", "model", "module."])
def test_a_checkpoint_of_the_published_shape_loads(tmp_path: Path, network: EQNet, wrapped: str) -> None:
    state = network.state_dict()
    if wrapped == "module.":
        state = {"model": {f"module.{key}": value for key, value in state.items()}, "epoch": 3}
    elif wrapped == "model":
        state = {"model": state}
    path = tmp_path / "PhaseNet-DAS-v1.pth"
    torch.save(state, path)
    weights = load_weights(path)
    assert (weights.architecture, weights.name, weights.sampling_rate_hz) == (
        "eqnet",
        "PhaseNet-DAS-v1",
        100.0,
    )
    for key, value in weights.model.state_dict().items():
        assert torch.equal(value, network.state_dict()[key])


def test_another_shape_is_named(tmp_path: Path, network: EQNet) -> None:
    state = dict(network.state_dict())
    first, second = list(state)[:2]
    del state[first]
    state[second] = torch.zeros(3)
    path = tmp_path / "other.pth"
    torch.save({"model": state}, path)
    with pytest.raises(WeightsError, match="do not fit") as caught:
        load_weights(path)
    message = str(caught.value)
    assert first in message
    assert "found nothing" in message
    assert "PhaseNet-DAS-v1" in message


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    text, nothing = tmp_path / "notes.pth", tmp_path / "numbers.pth"
    text.write_text("not weights")
    torch.save({"epoch": 3}, nothing)
    for path in (text, nothing):
        with pytest.raises(WeightsError, match=path.name):
            load_weights(path)
