"""Training on several processes: who they are, and batch norm whose statistics are those of all of them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from phasenet_das.errors import ConfigError, DeviceError

_FIRST_PORT, _PORTS = 20_000, 20_000  # a job's own port, from its number


@dataclass(frozen=True)
class World:
    """The place of a process among those that train together.

    Attributes
    ----------
    rank, local_rank, size : int
        Number among all, number on this machine, count of all.
    device : str
        ``cpu`` or ``cuda:N``.
    """

    rank: int = 0
    local_rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def is_first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    @property
    def on_cuda(self) -> bool:
        """Whether it computes on a GPU."""
        return self.device.startswith("cuda")


def find_world(device: str = "auto") -> World:
    """Find out from the environment (torchrun, else Slurm) which process this is."""
    env = os.environ
    if "RANK" in env and "WORLD_SIZE" in env:
        rank, size = int(env["RANK"]), int(env["WORLD_SIZE"])
        local_rank = int(env.get("LOCAL_RANK", rank))
    elif "SLURM_PROCID" in env and "SLURM_STEP_NUM_TASKS" in env:
        rank, size = int(env["SLURM_PROCID"]), int(env["SLURM_STEP_NUM_TASKS"])
        local_rank = int(env.get("SLURM_LOCALID", "0"))
    else:
        rank, local_rank, size = 0, 0, 1
    return World(rank, local_rank, size, _device(device, local_rank))


def _device(device: str, local_rank: int) -> str:
    if device not in {"auto", "cpu", "cuda"}:
        raise ConfigError(f"device: found '{device}', expected auto, cpu or cuda.")
    if device == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: cuda was asked for, but torch finds no GPU. Say cpu or auto.")
    if device == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{local_rank % torch.cuda.device_count()}"


@contextlib.contextmanager
def join_world(world: World) -> Iterator[None]:
    """Connect the processes (NCCL on GPUs, gloo on CPUs), and part at the end."""
    if world.on_cuda:
        torch.cuda.set_device(world.device)
    if world.size == 1:
        yield
        return
    address, port = _meeting_place()
    dist.init_process_group(
        "nccl" if world.on_cuda else "gloo",
        init_method=f"tcp://{address}:{port}" if "RANK" not in os.environ else "env://",
        rank=world.rank,
        world_size=world.size,
    )
    try:
        yield
    finally:
        dist.destroy_process_group()


def _meeting_place() -> tuple[str, int]:
    env = os.environ
    if "MASTER_ADDR" in env and "MASTER_PORT" in env:
        return env["MASTER_ADDR"], int(env["MASTER_PORT"])
    nodes = env.get("SLURM_STEP_NODELIST", env.get("SLURM_JOB_NODELIST", ""))
    if not nodes:
        raise ConfigError(
            "several processes, but neither MASTER_ADDR and MASTER_PORT nor Slurm's node list say where they "
            "meet. Start with torchrun or srun."
        )
    port = _FIRST_PORT + int(env.get("SLURM_JOB_ID", "0")) % _PORTS
    return first_node(nodes), int(env.get("MASTER_PORT", port))


def first_node(nodes: str) -> str:
    """Give the first name of a Slurm node list such as ``gpu[03-05,9],big1``."""
    match = re.match(r"([^,\[]+)(?:\[([^\],-]+)[^\]]*\]([^,\[]*))?", nodes)
    if match is None:
        raise ConfigError(f"node list '{nodes}': expected names such as gpu[03-05]. Set MASTER_ADDR.")
    return "".join(part or "" for part in match.groups())


def sum_over_ranks(values: Tensor, world: World) -> Tensor:
    """Sum a tensor over all processes."""
    if world.size > 1:
        dist.all_reduce(values)
    return values


class _AllReduceSum(torch.autograd.Function):
    """The sum over all ranks, whose gradient is the sum of all ranks' gradients."""

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:  # noqa: ANN401, ARG004 - torch's signature
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:  # noqa: ANN401, ARG004
        total = gradients[0].contiguous().clone()
        dist.all_reduce(total)
        return total


def _sum_with_gradient(values: Tensor) -> Tensor:
    total: Tensor = _AllReduceSum.apply(values)  # type: ignore[no-untyped-call]
    return total


class AllReduceBatchNorm(nn.modules.batchnorm._BatchNorm):  # noqa: SLF001 - the base of all of torch's
    """Batch norm over the batches of all ranks, on any backend (torch's own refuses CPU tensors).

    Parameters and buffers are those of ``torch.nn.BatchNorm2d``. All ranks must have batches of one shape.
    The variance is of the samples' distances from the mean of all ranks (two exchanges), which does not
    cancel as the difference of squares does.
    """

    def _check_input_dim(self, values: Tensor) -> None:
        if values.dim() < 2:
            raise ConfigError(f"batch norm: found {values.dim()} dimensions, expected (batch, feature, ...).")

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - torch's signature
        """Normalise over the batches of all ranks in training, by the running statistics in evaluation.

        `input` (batch, feature, ...).
        """
        self._check_input_dim(input)
        if not self.training:
            return super().forward(input)
        axes = [0, *range(2, input.dim())]
        shape = [1, -1, *[1] * (input.dim() - 2)]
        count = input.numel() // input.shape[1] * dist.get_world_size()
        values = input.float()
        mean = _sum_with_gradient(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _sum_with_gradient(centred.square().sum(axes)) / count
        self._track(mean.detach(), variance.detach() * (count / max(count - 1, 1)))
        normed = centred * torch.rsqrt(variance + self.eps).view(shape)
        if self.affine:
            normed = normed * self.weight.view(shape) + self.bias.view(shape)
        return normed.to(input.dtype)

    @torch.no_grad()
    def _track(self, mean: Tensor, variance: Tensor) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked.add_(1)
        momentum = 1.0 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)


def synchronize_batch_norm(model: nn.Module, world: World) -> nn.Module:
    """Let every batch norm see the batches of all ranks."""
    if world.size == 1:
        return model
    if world.on_cuda:
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(model)
        return converted
    return _replace_batch_norm(model)


def _replace_batch_norm(module: nn.Module) -> nn.Module:
    for name, child in module.named_children():
        setattr(module, name, _replace_batch_norm(child))
    if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
        return module
    own = AllReduceBatchNorm(
        module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
    )
    own.load_state_dict(module.state_dict())
    for target, source in zip(own.parameters(), module.parameters(), strict=True):
        target.requires_grad_(source.requires_grad)
    own.train(module.training)
    return own
