"""The training loop, the same code for one process and for many.

    phasenet-das train --config FILE
    torchrun --nproc-per-node N -m phasenet_das.training --config FILE
    srun python -m phasenet_das.training --config FILE

A run that is killed goes on with the same command; SIGTERM and Ctrl-C save first.
"""

from __future__ import annotations

import contextlib
import logging
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from phasenet_das.config import TrainSettings
from phasenet_das.errors import ConfigError
from phasenet_das.training.card import save_model
from phasenet_das.training.checkpoint import (
    StopSignal,
    check_same_run,
    initial_model,
    load_checkpoint,
    run_identity,
    save_checkpoint,
)
from phasenet_das.training.dataset import (
    Batch,
    SampleOrder,
    TrainingSamples,
    WindowSource,
    collate,
    make_loader,
    make_noise,
    make_sources,
)
from phasenet_das.training.ddp import World, find_world, join_world, sum_over_ranks, synchronize_batch_norm
from phasenet_das.training.logs import TrainingLogs
from phasenet_das.training.optimization import (
    MovingAverage,
    freeze_parts,
    half_precision,
    masked_loss_sum,
    train_mode,
)
from phasenet_das.training.schedule import make_schedule
from phasenet_das.training.summary import SUMMARY, TrainingSummary, advise, count_labels
from phasenet_das.training.validation import calibrate, validate
from phasenet_das.training.windows import TrainingWindow, digest_windows

log = logging.getLogger(__name__)

_NOT_WORSE = 1.05  # validation loss, to the lowest, up to which later weights are kept


@dataclass(frozen=True)
class TrainingResult:
    """Result of a training."""

    step: int  # steps done
    finished: bool  # False when a signal ended it early
    signal_number: int  # 0 for none
    metrics: dict[str, float]  # validation of the weights that were kept
    folder: Path  # the model folder


def train(settings: TrainSettings, *, progress: bool = False) -> TrainingResult:
    """Train a network, or go on where a run of the same settings, windows and labels was interrupted.

    Returns
    -------
    TrainingResult
        The model folder is ``output/model``; ``summary.json``, ``log.csv``, ``validation.csv``,
        ``training_curve.png``, ``last.pt`` and ``best.pt`` stand beside it.

    Raises
    ------
    ConfigError
        A setting cannot be used, there is nothing to train on, or `output` holds another run.
    WeightsError
        The weights to start from, or a checkpoint, cannot be used.
    """
    world = find_world(settings.device)
    with join_world(world):
        training, validation = make_sources(settings)
        noise = make_noise(settings.data, settings.seed) if settings.augment.noise else None
        trainer = Trainer(
            settings,
            initial_model(settings),
            TrainingSamples(training, settings, noise),
            TrainingSamples(validation, settings, varied=False),
            world,
        )
        return trainer.run(progress=progress)


@dataclass
class _State:
    """What changes while training, apart from network and optimizer."""

    step: int = 0
    lowest_loss: float = float("inf")  # of all validations
    metrics: dict[str, float] = field(default_factory=dict)
    start: dict[str, float] = field(default_factory=dict)  # validation of the given weights
    stopped_by: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0


class Trainer:
    """One process of a training.

    Parameters
    ----------
    model : torch.nn.Module
        Maps (batch, 1, channel, time) to logits (batch, 3, channel, time).
    samples, validation : TrainingSamples
        Samples to learn from and to validate on. The latter may be empty.
    world : World
        Place of this process among those that train together, connected by ``join_world``.

    Raises
    ------
    ConfigError
        A part to freeze does not exist, or bfloat16 gradients or float16 are asked for on CPUs.
    """

    def __init__(
        self,
        settings: TrainSettings,
        model: nn.Module,
        samples: TrainingSamples,
        validation: TrainingSamples,
        world: World,
    ) -> None:
        if settings.bf16_gradients and not world.on_cuda:
            raise ConfigError(
                "bf16_gradients: torch exchanges bfloat16 on CUDA only. Say false, or use GPUs."
            )
        self._samples_per_step = settings.batch_size * settings.accumulate * world.size
        self.schedule = make_schedule(settings, len(samples), self._samples_per_step)
        settings = self.schedule.complete(settings)
        settings = settings.model_copy(update={"amp": half_precision(settings.amp, world.device)})
        self.settings, self.samples, self.validation, self.world = settings, samples, validation, world
        self.folder = Path(settings.output)
        self.frozen = freeze_parts(model, settings.freeze)
        # Channels last: a step of PhaseNet-DAS takes 15 % less time on a CPU.
        model = model.to(device=world.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        start_share = settings.start_share if settings.weights is not None else 0.0
        self.average = MovingAverage(model, self.schedule.ema_decay, start_share)
        self.model = synchronize_batch_norm(model, world)
        self.parallel = self._distribute()
        trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(
            trained, lr=self.schedule.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self.scaler = torch.amp.GradScaler("cuda", enabled=settings.amp == "fp16")
        self.state = _State()
        self._signal = StopSignal()

    def _distribute(self) -> nn.Module:
        if self.world.size == 1:
            return self.model
        devices = [torch.device(self.world.device)] if self.world.on_cuda else None
        parallel = DistributedDataParallel(self.model, device_ids=devices)
        if self.settings.bf16_gradients:
            from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import bf16_compress_hook

            parallel.register_comm_hook(None, bf16_compress_hook)
        return parallel

    def run(self, *, progress: bool = False) -> TrainingResult:
        """Train to the last step, or until a signal.

        Parameters
        ----------
        progress : bool
            Show a progress bar on the first process.

        Returns
        -------
        TrainingResult
            How it ended; the model folder is written in either case.
        """
        torch.manual_seed(self.settings.seed)  # the same on all ranks: they draw alike, so one state is all
        windows = digest_windows(_windows(self.samples), _windows(self.validation))
        self._identity = run_identity(self.settings, self.world.size, windows)
        self._resume()
        self._begin, self._begin_cpu = time.monotonic(), time.process_time()
        first_line = self.state.step + 1 if self.state.step else 0
        self._logs = TrainingLogs(self.folder, first_line, self.settings, self.world)
        if self.world.is_first:
            self._summarize()
        bar = tqdm(
            total=self.schedule.steps,
            initial=self.state.step,
            disable=not (progress and self.world.is_first),
            desc="training",
            unit="step",
        )
        with self._signal, bar:
            if self.settings.weights is not None and self.state.step == 0 and len(self.validation):
                self.state.start = self._validated()
            for batches in self._steps():
                loss, norm = self._step(batches)
                self._after_step(loss, norm)
                bar.set_postfix(loss=f"{loss:.4g}", refresh=False)
                bar.update()
                if self.state.stopped_by:
                    break
        return self._finish()

    def _summarize(self) -> None:
        """Count the labels, and log them with the schedule and advice."""
        schedule, samples, path = self.schedule, self._samples_per_step, self.folder / SUMMARY
        if self.state.step and path.exists():
            self.summary = TrainingSummary.read(path)
        else:
            counts = count_labels(_windows(self.samples))
            advice = advise(self.settings, counts, schedule.steps, validates=bool(len(self.validation)))
            self.summary = TrainingSummary(counts, count_labels(_windows(self.validation)), advice)
            self.summary.write(path)
        log.info(
            "%d steps of %d samples, which are %.3g epochs. Warm-up %d steps, the average remembers %.3g "
            "steps, validation every %d steps, precision %s",
            schedule.steps, samples, schedule.steps * samples / len(self.samples), schedule.warmup_steps,
            1 / (1 - schedule.ema_decay), schedule.validate_every, self.settings.amp,
        )  # fmt: skip
        if self.summary.labels():
            log.info("%s", self.summary.labels())
        for line in self.summary.advice:
            log.warning("%s", line)

    def _steps(self) -> Iterator[list[Batch]]:
        """Yield the batches of each step of this rank."""
        settings = self.settings
        order = SampleOrder(
            len(self.samples),
            batch_size=settings.batch_size,
            accumulate=settings.accumulate,
            rank=self.world.rank,
            world=self.world.size,
            seed=settings.seed,
            first_step=self.state.step,
            last_step=self.schedule.steps,
        )
        batches: list[Batch] = []
        for batch in make_loader(self.samples, order, settings.num_workers, self.world.device):
            batches.append(batch)
            if len(batches) == settings.accumulate:
                yield batches
                batches = []

    def _step(self, batches: list[Batch]) -> tuple[float, float]:
        """Take one optimizer step. Returns the mean loss over all ranks and the norm of the gradient."""
        world = self.world
        train_mode(self.model, self.frozen)
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.state.step)
        self.optimizer.zero_grad(set_to_none=True)
        totals = torch.zeros(3, dtype=torch.float64, device=world.device)
        # Gradients of a sum over a million pixels do not fit half precision: scale by what is known now, and
        # by the true count below. A power of two changes no digit.
        nominal = 1 << (sum(batch.mask.numel() for batch in batches) * world.size).bit_length()
        for batch in batches:
            with self._exchange(last=batch is batches[-1]):
                loss_sum = self._loss_sum(batch)
                self.scaler.scale(loss_sum / nominal).backward()
            totals[0] += loss_sum.detach()
            totals[1] += batch.mask.sum()
        totals[2] = self._signal.number
        # The signal goes along with the counts, so that all ranks stop after the same step.
        loss_total, count, stop = sum_over_ranks(totals, world).tolist()
        self.state.stopped_by = (self._signal.number or signal.SIGTERM) if stop else 0
        norm = self._apply_gradient(world.size * nominal / max(count, 1.0))
        self.average.update(self.model, self.state.step)
        self.state.step += 1
        return loss_total / max(count, 1.0), norm

    def _apply_gradient(self, factor: float) -> float:
        """Divide by the true count of pixels (DDP has averaged, a sum is wanted), clip, and step."""
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.scaler.unscale_(self.optimizer)
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad.mul_(factor)
        norm = nn.utils.clip_grad_norm_(parameters, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return float(norm)

    def _loss_sum(self, batch: Batch) -> Tensor:
        device, settings = self.world.device, self.settings
        data, targets, mask = (part.to(device, non_blocking=True) for part in batch[:3])
        data = data.contiguous(memory_format=torch.channels_last)
        half = torch.float16 if settings.amp == "fp16" else torch.bfloat16
        with torch.autocast(torch.device(device).type, dtype=half, enabled=settings.amp != "off"):
            logits = self.parallel(data)
        return masked_loss_sum(logits, targets, mask, settings.phase_weights)

    def _exchange(self, *, last: bool) -> contextlib.AbstractContextManager[None]:
        """Exchange gradients with the last batch of a step only."""
        if last or not isinstance(self.parallel, DistributedDataParallel):
            return contextlib.nullcontext()
        return self.parallel.no_sync()

    def _after_step(self, loss: float, norm: float) -> None:
        settings, schedule, step = self.settings, self.schedule, self.state.step
        if step % settings.log_every == 0 or step == schedule.steps:
            row = {
                "step": step,
                "epoch": step * self._samples_per_step // len(self.samples),
                "learning_rate": self.schedule.rate(step - 1),
                "loss": loss,
                "gradient_norm": norm,
                "seconds": round(self._seconds(), 3),
                "cpu_s": round(self._cpu_seconds(), 3),
            }
            self._logs.write("train", row)
        if len(self.validation) and (step % schedule.validate_every == 0 or step == schedule.steps):
            self._validate()
        if step % schedule.save_every == 0 or step == schedule.steps or self.state.stopped_by:
            self._save("last.pt")

    def _seconds(self) -> float:
        """Time spent so far, with that of the runs that this one continues."""
        return self.state.seconds + time.monotonic() - self._begin

    def _cpu_seconds(self) -> float:
        """CPU time of this process so far, without its loaders, with that of the runs it continues."""
        return self.state.cpu_s + time.process_time() - self._begin_cpu

    def _validated(self) -> dict[str, float]:
        metrics = validate(self.average.result(), self.validation, self.settings, self.world)
        self._logs.write("validation", {"step": self.state.step, **metrics})
        return metrics

    def _validate(self) -> None:
        """Keep the latest weights that are not clearly worse than the best.

        A few events make a noisy measure. On one cable of four validation events, the highest F1 was that of
        1,800 steps, and the weights of 6,000 steps were far better.
        """
        metrics = self._validated()
        if metrics["loss"] <= _NOT_WORSE * self.state.lowest_loss:
            self.state.lowest_loss = min(metrics["loss"], self.state.lowest_loss)
            self.state.metrics = metrics
            self._save("best.pt")

    def _save(self, name: str) -> None:
        if not self.world.is_first:
            return
        state = {
            "run": self._identity,
            "model": self.model.state_dict(),
            "average": self.average.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "step": self.state.step,  # the schedule and the position in the data are functions of it
            "lowest_loss": self.state.lowest_loss,
            "metrics": self.state.metrics,
            "start": self.state.start,
            "seconds": self._seconds(),
            "cpu_s": self._cpu_seconds(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.world.on_cuda else None,
        }
        save_checkpoint(state, self.folder / name)

    def _resume(self) -> None:
        path = self.folder / "last.pt"
        if not path.exists():
            return
        saved = load_checkpoint(path)
        check_same_run(saved["run"], self._identity, path)
        self.model.load_state_dict(saved["model"])
        self.average.model.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.scaler.load_state_dict(saved["scaler"])
        torch.set_rng_state(saved["rng"])
        if self.world.on_cuda and saved["cuda_rng"] is not None:
            torch.cuda.set_rng_state(saved["cuda_rng"])
        self.state = _State(
            saved["step"],
            saved["lowest_loss"],
            saved["metrics"],
            saved["start"],
            seconds=saved["seconds"],
            cpu_s=saved["cpu_s"],
        )
        log.info("%s: going on from step %d", path, self.state.step)

    def _finish(self) -> TrainingResult:
        """Write the chosen weights (the last without validation) as a model folder, and draw the curve."""
        best = self.folder / "best.pt"
        folder = self.folder / "model"
        if self.world.is_first:
            if self.state.metrics and best.exists():
                self.average.model.load_state_dict(load_checkpoint(best)["average"])
            facts = {
                "steps": self.state.step,
                "steps_wanted": self.schedule.steps,
                "samples_per_step": self._samples_per_step,
                "samples_per_epoch": len(self.samples),
                "processes": self.world.size,
                "precision": self.settings.amp,
                "hours": round(self._seconds() / 3600, 2),
                "cpu_hours": round(self._cpu_seconds() / 3600, 2),
            }
            result = self.average.result()
            calibration = calibrate(result, self.validation, self.settings, self.world)
            summary = self.summary.finished(self.state.start, self.state.metrics)
            summary.write(self.folder / SUMMARY)
            if summary.outcome():
                log.log(logging.INFO if summary.is_better else logging.WARNING, "%s", summary.outcome())
            save_model(folder, result, self.settings, self.state.metrics, facts, calibration, summary)
            self._logs.close()
        number = self.state.stopped_by if self.state.step < self.schedule.steps else 0
        return TrainingResult(self.state.step, not number, number, self.state.metrics, folder)


def _windows(samples: TrainingSamples) -> list[TrainingWindow]:
    sources = [source for source in samples.sources if isinstance(source, WindowSource)]
    return [window for source in sources for window in source.windows]


def overfit_one_batch(
    settings: TrainSettings,
    steps: int = 200,
    model: nn.Module | None = None,
    samples: TrainingSamples | None = None,
) -> list[float]:
    """Train on a single batch again and again: the quickest check that data, labels and network fit.

    Parameters
    ----------
    settings : TrainSettings
        Learning rate and batch size. Augmentation is left out.
    steps : int
        Optimizer steps.
    model, samples : optional
        Network and samples, those of the settings without them.

    Returns
    -------
    list of float
        Loss after each step, nats per pixel. A loss that does not fall far below that of the first step means
        wrong labels or a wrong learning rate.
    """
    device = find_world(settings.device).device
    samples = samples or TrainingSamples(make_sources(settings)[0], settings, varied=False)
    order = SampleOrder(len(samples), batch_size=settings.batch_size, seed=settings.seed, last_step=1)
    batch = collate([samples[key] for key in next(iter(order))])
    data, targets, mask = (part.to(device) for part in batch[:3])
    model = (model or initial_model(settings)).to(device).train()
    schedule = make_schedule(settings, len(samples), settings.batch_size)
    optimizer = torch.optim.Adam(model.parameters(), lr=schedule.learning_rate)
    losses = []
    for _ in range(steps):
        loss = masked_loss_sum(model(data), targets, mask, settings.phase_weights) / mask.sum().clamp_min(1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses
