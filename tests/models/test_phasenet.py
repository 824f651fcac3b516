"""PhaseNet is the network that was published, and its weights are checked before use."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from phasenet_das.errors import WeightsError
from phasenet_das.models import PhaseNet, list_weights, load_weights, save_weights
from phasenet_das.tables.provenance import file_sha256


@pytest.fixture
def original(shared: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(shared / "seisbench_cache"))
    return load_weights("seisbench:original").model.state_dict()


def _standardised(raw: np.ndarray) -> torch.Tensor:
    centred = raw - raw.mean(axis=-1, keepdims=True, dtype=np.float64)
    scale = centred.std(axis=-1, keepdims=True)
    return torch.from_numpy((centred / np.where(scale > 0, scale, 1)).astype(np.float32))


@pytest.mark.shared
@pytest.mark.parametrize("length", [3000, 3001])
def test_equals_the_tensorflow_model(length: int, original: dict[str, torch.Tensor], shared: Path) -> None:
    reference = np.load(shared / "reference" / "phasenet_original_reference.npz")
    raw = reference["raw"]
    if length == 3001:
        raw = np.concatenate([raw, reference["raw_next_sample"][..., None]], axis=-1)
    model = PhaseNet(window_samples=length)
    model.load_state_dict(original)
    with torch.inference_mode():
        found = torch.softmax(model.eval()(_standardised(raw)), dim=1).numpy()
    assert np.abs(found - reference[f"tf_prob_{length}"]).max() < 1e-4


@pytest.mark.shared
def test_other_lengths_keep_the_timing_of_the_training_length(
    original: dict[str, torch.Tensor], shared: Path
) -> None:
    """Zeros behind a window change its length, not where its arrivals are."""
    reference = np.load(shared / "reference" / "phasenet_original_reference.npz")
    model = PhaseNet(window_samples=3000)
    model.load_state_dict(original)
    x = _standardised(reference["raw"])
    with torch.inference_mode():
        whole = torch.softmax(model.eval()(x), dim=1)[:, 1:].argmax(dim=-1)
        for extra in (1, 2, 3, 5, 64):
            longer = torch.softmax(model(torch.nn.functional.pad(x, (0, extra))), dim=1)[:, 1:].argmax(dim=-1)
            assert (longer - whole).abs().float().median() == 0


@pytest.mark.parametrize("components", [1, 3])
def test_a_piece_of_fibre_is_scored_channel_by_channel(components: int) -> None:
    torch.manual_seed(0)
    model = PhaseNet(in_channels=components, filters=2).eval()
    fibre = torch.randn(2, 1, 5, 300)
    with torch.inference_mode():
        together = model(fibre)
        alone = model(fibre[1, :, 3:4].expand(-1, components, -1))
    assert together.shape == (2, 3, 5, 300)
    torch.testing.assert_close(together[1:, :, 3], alone)


@pytest.mark.parametrize("length", [1, 3, 17, 500, 751, 3000, 3001, 4096])
def test_output_has_the_length_of_the_input(length: int) -> None:
    model = PhaseNet().eval()
    with torch.inference_mode():
        assert model(torch.zeros(2, 3, length)).shape == (2, 3, length)


def test_folding_batch_norm_changes_nothing() -> None:
    torch.manual_seed(0)
    model = PhaseNet(in_channels=1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    x = torch.randn(4, 1, 1000)
    with torch.inference_mode():
        torch.testing.assert_close(model.fused()(x), model.eval()(x), atol=1e-4, rtol=1e-4)
    assert isinstance(model.in_bn, torch.nn.BatchNorm1d)


def test_weights_survive_a_round_trip(tmp_path: Path) -> None:
    model = PhaseNet(in_channels=1, filters=4)
    _save(tmp_path / "mine", model)
    weights = load_weights(tmp_path / "mine")
    for key, value in weights.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[key])
    assert weights.weights_id.startswith("mine@")
    assert not weights.model.training


def _save(folder: Path, model: PhaseNet) -> None:
    save_weights(
        folder,
        model,
        architecture="phasenet",
        model_args={"in_channels": model.in_channels, "filters": model.filters},
        sampling_rate_hz=100.0,
        phases="NPS",
        component_order="1",
        normalization="std",
        window_samples=3000,
        provenance={"license": "MIT"},
    )


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    _save(tmp_path / "mine", PhaseNet(in_channels=1))
    file = tmp_path / "mine" / "model.safetensors"
    damaged = bytearray(file.read_bytes())
    damaged[-1] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(WeightsError, match="sha256"):
        load_weights(tmp_path / "mine")


def test_tensors_that_do_not_fit_are_named(tmp_path: Path) -> None:
    _save(tmp_path / "mine", PhaseNet(in_channels=1))
    config = tmp_path / "mine" / "config.json"
    values = json.loads(config.read_text())
    values["model_args"]["in_channels"] = 3
    config.write_text(json.dumps(values))
    with pytest.raises(WeightsError, match=r"inc\.weight: found \(8, 1, 7\), expected \(8, 3, 7\)"):
        load_weights(tmp_path / "mine")


def _edit(folder: Path, **changes: object) -> None:
    config = folder / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), **changes}))


@pytest.mark.parametrize("path", ["/etc/passwd", "../other/model.safetensors", "link"])
@pytest.mark.parametrize("key", ["file", "weights"])
def test_no_file_but_its_own_is_read_for_a_folder(key: str, path: str, tmp_path: Path) -> None:
    _save(tmp_path / "mine", PhaseNet(in_channels=1))
    _edit(tmp_path / "mine", **{key: path})
    with pytest.raises(WeightsError, match=f"unknown key '{key}'.*those of model"):
        load_weights(tmp_path / "mine")


def test_a_link_leads_to_no_other_weights(tmp_path: Path) -> None:
    _save(tmp_path / "mine", PhaseNet(in_channels=1))
    _save(tmp_path / "other", PhaseNet(in_channels=1))
    (tmp_path / "mine" / "model.safetensors").unlink()
    (tmp_path / "mine" / "model.safetensors").symlink_to(tmp_path / "other" / "model.safetensors")
    with pytest.raises(WeightsError, match="sha256"):
        load_weights(tmp_path / "mine")


class _Trap:
    """A pickle that makes a file when it is read."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize("name", ["model.safetensors", "model.pt"])
@pytest.mark.parametrize("by_itself", [True, False])
def test_no_pickle_is_run(
    name: str, by_itself: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _save(tmp_path / "mine", PhaseNet(in_channels=1))
    (tmp_path / "mine" / "model.safetensors").unlink()
    file = tmp_path / "mine" / name
    file.write_bytes(pickle.dumps(_Trap()))
    _edit(tmp_path / "mine", sha256=file_sha256(file))
    with pytest.raises(WeightsError, match=r"checkpoint|cannot be used"):
        load_weights(file if by_itself else tmp_path / "mine")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["seisbench:../mine", "seisbench:/etc/passwd", "..", "."])
def test_names_lead_to_no_other_folder(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match=r"expected a name|no model\.safetensors"):
        load_weights(name)


def test_an_incomplete_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"no model\.safetensors and no config\.json"):
        load_weights(tmp_path)


def test_an_unknown_name_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(tmp_path))
    with pytest.raises(WeightsError, match="seisbench:original"):
        load_weights("seisbensh:original")


@pytest.mark.shared
def test_the_wrong_digest_is_refused(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(shared / "seisbench_cache"))
    assert "seisbench:original" in list_weights()
    with pytest.raises(WeightsError, match="expected 00"):
        load_weights("seisbench:original", sha256="00")


@pytest.mark.shared
def test_a_truncated_download_is_refused(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "models" / "v3" / "phasenet"
    cache.mkdir(parents=True)
    for file in (shared / "seisbench_cache" / "models" / "v3" / "phasenet").iterdir():
        shutil.copyfile(file, cache / file.name)
    (cache / "original.pt.v1").write_bytes((cache / "original.pt.v1").read_bytes()[:5000])
    monkeypatch.setenv("SEISBENCH_CACHE_ROOT", str(tmp_path))
    with pytest.raises(WeightsError, match="Delete it"):
        load_weights("seisbench:original")
