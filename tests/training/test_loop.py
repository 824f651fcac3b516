"""The loop: many ranks equal one, a killed run equals an uninterrupted one, and signals save first."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError, WeightsError
from phasenet_das.models import weights as model_files
from phasenet_das.training import loop
from phasenet_das.training.dataset import TrainingSamples
from phasenet_das.training.ddp import World
from phasenet_das.training.loop import Trainer, TrainingResult, overfit_one_batch
from phasenet_das.training.optimization import MovingAverage, freeze_parts, masked_loss_sum
from phasenet_das.training.summary import SUMMARY, TrainingSummary
from tests.training.run_tiny import StoppingSource
from tests.training.tiny import MadeSource, TinyNet, tiny_net, tiny_settings

ROOT = Path(__file__).parents[2]
# Float32 sums in another order: losses agree to this relative tolerance.
SAME_LOSS = 2e-5


def run_here(settings: TrainSettings, source: MadeSource | None = None) -> TrainingResult:
    samples = TrainingSamples([source or MadeSource(13)], settings)
    validation = TrainingSamples([MadeSource(6)], settings, varied=False)
    return Trainer(settings, tiny_net(), samples, validation, World()).run()


def start(folder: Path, tasks: list[dict], **env: str) -> subprocess.Popen:
    """Start trainings in a process of their own."""
    file = folder / "tasks.json"
    file.write_text(json.dumps(tasks))
    command = [sys.executable, "-m", "tests.training.run_tiny", str(file)]
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **env}
    return subprocess.Popen(command, env=env, cwd=ROOT, stderr=subprocess.PIPE, text=True)  # noqa: S603


def task_of(settings: TrainSettings, **task: object) -> dict:
    return {"settings": settings.model_dump(mode="json"), "count": 13, **task}


def ends_of(settings: TrainSettings) -> list[dict]:
    """What each rank said at its end."""
    return [json.loads(path.read_text()) for path in sorted(Path(settings.output).glob("rank_*.json"))]


def log_of(settings: TrainSettings, name: str = "log.csv") -> pd.DataFrame:
    return pd.read_csv(Path(settings.output) / name).drop(columns=["seconds", "cpu_s"], errors="ignore")


def weights_of(settings: TrainSettings, name: str = "last.pt") -> dict[str, torch.Tensor]:
    return torch.load(Path(settings.output) / name, weights_only=True)["model"]


@pytest.fixture(scope="module")
def one_rank(tmp_path_factory: pytest.TempPathFactory) -> TrainSettings:
    settings = tiny_settings(tmp_path_factory.mktemp("one"), batch_size=4)
    assert run_here(settings).finished
    return settings


@pytest.fixture(scope="module")
def two_ranks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, TrainSettings]:
    """Trainings on two gloo ranks, one started as by torchrun and one as by Slurm."""
    folder = tmp_path_factory.mktemp("two")
    made = {
        "whole": tiny_settings(folder / "whole"),
        "stopped": tiny_settings(folder / "stopped", save_every=100),
        "accumulated": tiny_settings(folder / "accumulated", batch_size=1, accumulate=2, steps=4),
        "half": tiny_settings(folder / "half", amp="bf16", weights="a-start", rates="model"),
    }
    tasks = [task_of(settings) for settings in made.values()]
    tasks[1] |= {"stop_rank": 1, "stop_after": 5, "signal": "SIGTERM"}
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    torchrun = {"MASTER_ADDR": "127.0.0.1", "WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}
    slurm = {"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "127.0.0.1"}
    runs = [start(folder, tasks, MASTER_PORT=port, **env) for env in (torchrun, slurm)]
    said = [run.communicate(timeout=120)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], said
    return made


def test_two_ranks_give_the_loss_curve_of_one_with_twice_the_batch(
    two_ranks: dict[str, TrainSettings], one_rank: TrainSettings
) -> None:
    two, one = log_of(two_ranks["whole"]), log_of(one_rank)
    assert list(two["step"]) == list(one["step"]) == list(range(1, 9))
    np.testing.assert_allclose(two["loss"], one["loss"], rtol=SAME_LOSS)
    np.testing.assert_allclose(two["gradient_norm"], one["gradient_norm"], rtol=1e-3)
    scores = [log_of(settings, "validation.csv") for settings in (two_ranks["whole"], one_rank)]
    pd.testing.assert_frame_equal(*scores, rtol=1e-3)
    for name, value in weights_of(one_rank).items():
        torch.testing.assert_close(weights_of(two_ranks["whole"])[name], value, rtol=1e-3, atol=1e-5)


def test_two_ranks_follow_one_in_half_precision_from_given_weights(
    tmp_path: Path, two_ranks: dict[str, TrainSettings]
) -> None:
    settings = tiny_settings(tmp_path, batch_size=4, amp="bf16", weights="a-start", rates="model")
    run_here(settings)
    np.testing.assert_allclose(log_of(two_ranks["half"])["loss"], log_of(settings)["loss"], rtol=0.02)
    one, two = (log_of(made, "validation.csv") for made in (settings, two_ranks["half"]))
    assert list(two["step"]) == list(one["step"]) == [0, 4, 8]
    pd.testing.assert_series_equal(two.loc[0], one.loc[0], rtol=1e-5)  # the start is validated in float32


def test_no_rank_reads_the_samples_of_another(two_ranks: dict[str, TrainSettings]) -> None:
    drawn = [{tuple(key) for key in end["drawn"]} for end in ends_of(two_ranks["whole"])]
    assert len(drawn) == 2
    assert not drawn[0] & drawn[1]
    assert len(drawn[0] | drawn[1]) == 8 * 4  # of two epochs and a bit: each sample once an epoch


def test_two_ranks_accumulate_as_one_does(tmp_path: Path, two_ranks: dict[str, TrainSettings]) -> None:
    settings = tiny_settings(tmp_path, batch_size=2, accumulate=2, steps=4)
    run_here(settings)
    np.testing.assert_allclose(
        log_of(two_ranks["accumulated"])["loss"], log_of(settings)["loss"], rtol=SAME_LOSS
    )


def test_bfloat16_gradients_are_refused_on_cpus(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bf16_gradients.*on CUDA only"):
        run_here(tiny_settings(tmp_path, bf16_gradients=True))


def test_accumulated_batches_equal_one_large_one(tmp_path: Path) -> None:
    # Without batch norm, which sees one batch at a time.
    losses = []
    for name, batch, accumulate in (("a", 4, 1), ("b", 1, 4)):
        settings = tiny_settings(tmp_path / name, batch_size=batch, accumulate=accumulate, steps=4)
        net = tiny_net()
        net.norm = torch.nn.Identity()
        samples = TrainingSamples([MadeSource(13)], settings)
        Trainer(settings, net, samples, TrainingSamples([], settings, varied=False), World()).run()
        losses.append(log_of(settings)["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=SAME_LOSS)


def test_killed_and_resumed_equals_uninterrupted(tmp_path: Path, one_rank: TrainSettings) -> None:
    settings = tiny_settings(tmp_path / "run", batch_size=4)
    # Killed in the seventh step; the last checkpoint is that of step 4, and the log is longer than it.
    run = start(tmp_path, [task_of(settings, stop_rank=0, stop_after=26, signal="SIGKILL")])
    run.communicate(timeout=120)
    assert run.returncode == -signal.SIGKILL
    assert log_of(settings)["step"].max() == 6
    assert not (tmp_path / "run" / "model").exists()
    assert run_here(settings).finished
    for name in ("log.csv", "validation.csv"):
        pd.testing.assert_frame_equal(log_of(settings, name), log_of(one_rank, name))
    for name in ("last.pt", "best.pt"):
        for key, value in weights_of(one_rank, name).items():
            # To rounding: two processes may add up in another order. A draw or a moment lost shows at 1e-2.
            torch.testing.assert_close(weights_of(settings, name)[key], value, rtol=1e-4, atol=1e-6)


def test_resuming_is_exact_in_half_precision_too(tmp_path: Path) -> None:
    whole, halves = (tiny_settings(tmp_path / name, amp="bf16") for name in ("whole", "halves"))
    run_here(whole)
    assert run_here(halves, source=StoppingSource(13, after=5, number=signal.SIGTERM)).step == 3
    assert run_here(halves).finished
    pd.testing.assert_frame_equal(log_of(halves), log_of(whole))
    torch.testing.assert_close(weights_of(halves), weights_of(whole), rtol=1e-6, atol=0)


def test_the_precision_is_chosen_by_the_processor_and_belongs_to_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for able, amp in (("amx_bf16", "bf16"), ("avx512_f", "off")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: {able: True})
        run_here(tiny_settings(tmp_path / amp, amp="auto", steps=2))
        card = (tmp_path / amp / "model" / "README.md").read_text()
        assert f"precision {amp}" in card
    assert not log_of(tiny_settings(tmp_path / "off")).equals(log_of(tiny_settings(tmp_path / "bf16")))
    with pytest.raises(ConfigError, match="differs in amp"):
        run_here(tiny_settings(tmp_path / "bf16", amp="auto", steps=2))
    with pytest.raises(ConfigError, match="fp16 works on CUDA only"):
        run_here(tiny_settings(tmp_path, amp="fp16"))


def test_sigterm_to_one_rank_saves_and_stops_all_and_one_rank_may_go_on(
    two_ranks: dict[str, TrainSettings], one_rank: TrainSettings
) -> None:
    settings = two_ranks["stopped"]
    folder = Path(settings.output)
    ends = ends_of(settings)
    assert [(end["finished"], end["signal"]) for end in ends] == [(False, signal.SIGTERM)] * 2
    saved = torch.load(folder / "last.pt", weights_only=True)
    assert saved["step"] == log_of(settings)["step"].max() == 3
    assert (folder / "model" / "model.safetensors").exists()
    # The samples of each step stay the same when one rank takes twice the batch.
    assert run_here(settings.model_copy(update={"batch_size": 4})).finished
    np.testing.assert_allclose(log_of(settings)["loss"], log_of(one_rank)["loss"], rtol=SAME_LOSS)


def test_the_same_settings_give_the_same_run_for_any_number_of_workers(
    tmp_path: Path, one_rank: TrainSettings
) -> None:
    settings = tiny_settings(tmp_path, batch_size=4, num_workers=2)
    assert run_here(settings).finished
    pd.testing.assert_frame_equal(log_of(settings), log_of(one_rank))


def test_given_weights_are_validated_before_the_first_step(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = tiny_settings(tmp_path, weights="a-start", rates="model", learning_rate=0.03)
    with caplog.at_level("INFO", logger="phasenet_das"):
        run_here(settings, source=StoppingSource(13, after=5, number=signal.SIGTERM))
        run_here(settings)
    scores = log_of(settings, "validation.csv")
    assert list(scores["step"]) == [0, 4, 8]
    summary = TrainingSummary.read(tmp_path / SUMMARY)
    assert summary.start["f1"] == pytest.approx(scores["f1"][0], abs=1e-4)
    assert summary.student["f1"] == pytest.approx(scores["f1"][1:].max(), abs=1e-4)
    assert "8 steps of 2 samples, which are 1.23 epochs" in caplog.text
    assert summary.outcome() in caplog.text
    assert summary.outcome() in (tmp_path / "model" / "README.md").read_text()


def test_another_run_in_the_folder_is_refused(tmp_path: Path) -> None:
    run_here(tiny_settings(tmp_path, steps=2))
    with pytest.raises(ConfigError, match="another output folder"):
        run_here(tiny_settings(tmp_path, steps=2, seed=5))
    with pytest.raises(ConfigError, match="samples_per_step"):
        run_here(tiny_settings(tmp_path, steps=2, batch_size=3))
    (tmp_path / "last.pt").write_bytes(b"no checkpoint")
    with pytest.raises(WeightsError, match="damaged"):
        run_here(tiny_settings(tmp_path, steps=2))


def test_the_latest_weights_of_a_low_loss_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The highest F1 does not count, nor a loss that is lower by less than a twentieth."""
    losses, scores = [0.50, 0.40, 0.41, 0.45, 0.43], [0.1, 0.9, 0.2, 0.3, 0.3]
    metrics = [{"loss": a, "f1": b, "p_f1": b, "s_f1": b} for a, b in zip(losses, scores, strict=True)]
    answers = iter(metrics)
    monkeypatch.setattr(loop, "validate", lambda *_: next(answers))
    result = run_here(tiny_settings(tmp_path, steps=10, validate_every=2))
    assert result.metrics["loss"] == 0.41
    assert torch.load(tmp_path / "best.pt", weights_only=True)["step"] == 6


def test_the_model_folder_loads_and_its_card_tells_data_and_licence(
    one_rank: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(model_files._ARCHITECTURES, "tiny", TinyNet)
    monkeypatch.setitem(model_files.NORMALIZATIONS, "tiny", ("std",))
    folder = Path(one_rank.output) / "model"
    weights = model_files.load_weights(folder)
    best = torch.load(Path(one_rank.output) / "best.pt", weights_only=True)["average"]
    torch.testing.assert_close(weights.model.state_dict(), best)
    assert weights.phases == "NPS"
    assert weights.provenance["label_sigma_s"] == pytest.approx(0.02)
    assert weights.provenance["rates"] == "model"  # random weights have seen no other
    card = (folder / "README.md").read_text()
    for text in ("license:", "## Data", "## Validation", "| P | 0.1 |", "Fine-tune"):
        assert text in card
    assert (folder.parent / "training_curve.png").stat().st_size > 10_000


def test_one_batch_can_be_learned_by_heart(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, learning_rate=0.03, batch_size=2)
    samples = TrainingSamples([MadeSource(4)], settings, varied=False)
    losses = overfit_one_batch(settings, 150, tiny_net(features=12), samples)
    assert losses[-1] < 0.35 * losses[0]


def test_frozen_parts_stay_and_unknown_ones_are_named(tmp_path: Path) -> None:
    settings = tiny_settings(tmp_path, freeze=("stem", "norm"), steps=3)
    before = {name: value.clone() for name, value in tiny_net().state_dict().items()}
    run_here(settings)
    after = weights_of(settings)
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"head.weight", "head.bias"}
    with pytest.raises(ConfigError, match=r"no part 'sten'\. Did you mean 'stem'"):
        freeze_parts(tiny_net(), ["sten"])
    with pytest.raises(ConfigError, match="nothing is left"):
        freeze_parts(tiny_net(), ["stem", "norm", "head"])


def test_the_loss_is_the_cross_entropy_weighed_by_mask_and_phase() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 3, 4, 5, generator=generator)
    targets = torch.softmax(torch.randn(2, 3, 4, 5, generator=generator), dim=1)
    mask = torch.rand(2, 4, 5, generator=generator) * (torch.rand(2, 4, 5, generator=generator) > 0.5)
    per_pixel = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    expected = (per_pixel * mask).sum()
    for layout in (torch.contiguous_format, torch.channels_last):
        given = logits.contiguous(memory_format=layout)
        torch.testing.assert_close(masked_loss_sum(given, targets, mask, (1, 1, 1)), expected)
    two_p = per_pixel - targets[:, 1] * torch.log_softmax(logits, dim=1)[:, 1]
    torch.testing.assert_close(masked_loss_sum(logits, targets, mask, (1, 2, 1)), (two_p * mask).sum())
    logits.requires_grad_()
    masked_loss_sum(logits, targets, mask, (1, 2, 2)).backward()
    assert (logits.grad.abs().sum(dim=1)[mask == 0] == 0).all()


def test_the_moving_average_follows() -> None:
    net = tiny_net()
    average = MovingAverage(net, 0.5)
    start = net.head.bias.detach().clone()
    with torch.no_grad():
        net.head.bias += 1
    average.update(net, step=1000)
    torch.testing.assert_close(average.model.head.bias, start + 0.5)
    assert average.result() is average.model


def test_the_result_is_a_mean_with_the_weights_of_the_start(tmp_path: Path) -> None:
    """In a training from given weights; random weights have no part in the result."""
    for share, given in ((0.5, "a-start"), (0.0, "a-start"), (0.5, None)):
        settings = tiny_settings(
            tmp_path / f"{share}{given}", weights=given, rates="model", start_share=share
        )
        run_here(settings)
        best = torch.load(Path(settings.output) / "best.pt", weights_only=True)["average"]
        result = load_file(Path(settings.output) / "model" / "model.safetensors")
        for name, start in tiny_net().named_parameters():
            mean = torch.lerp(best[name], start, share if given else 0.0)
            torch.testing.assert_close(result[name], mean)
