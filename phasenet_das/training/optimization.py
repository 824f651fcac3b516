"""The numbers of the loop: loss, learning rate, moving average, frozen parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Literal, cast

import torch
from torch import Tensor, nn

from gamma.errors import nearest_name
from phasenet_das.errors import ConfigError
from phasenet_das.models.precision import multiplies_bfloat16


def masked_loss_sum(logits: Tensor, targets: Tensor, mask: Tensor, weights: Sequence[float]) -> Tensor:
    """Sum the cross-entropy over the pixels, each as much as its mask says.

    `logits` and `targets` (batch, 3, channel, time), `mask` (batch, channel, time) in [0, 1]. Returns ().
    """
    counted = targets * mask.unsqueeze(1)  # what needs no gradient first: the loss is then one product
    if any(weight != 1 for weight in weights):
        counted *= torch.tensor(weights, device=targets.device).view(1, -1, 1, 1)
    planes = logits.to(torch.float32, memory_format=torch.contiguous_format)
    return -torch.linalg.vecdot(torch.log_softmax(planes, dim=1), counted).sum()


def half_precision(amp: str, device: str) -> Literal["off", "bf16", "fp16"]:
    """Resolve `auto`: bfloat16 where the processor multiplies it by itself (AMX, GPUs since 2020)."""
    on_cuda = device.startswith("cuda")
    if amp == "fp16" and not on_cuda:
        raise ConfigError("amp: fp16 works on CUDA only. Set auto, bf16 or off.")
    if amp != "auto":
        return cast("Literal['off', 'bf16', 'fp16']", amp)
    return "bf16" if multiplies_bfloat16(torch.device(device)) else "off"


class MovingAverage:
    """Exponential moving average of a network's weights; buffers are copied."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay = decay

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take the weights of a step in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)


def freeze_parts(model: nn.Module, parts: Sequence[str]) -> list[str]:
    """Exclude parts of a network from training."""
    named = dict(model.named_parameters())
    frozen: list[str] = []
    for part in parts:
        inside = [name for name in named if name == part or name.startswith(f"{part}.")]
        if not inside:
            known = {name.rpartition(".")[0] for name in named} | {name.split(".")[0] for name in named}
            raise ConfigError(f"freeze: the network has no part '{part}'.{nearest_name(part, known)}")
        frozen += inside
    for name in frozen:
        named[name].requires_grad_(False)
    if len(set(frozen)) == len(named):
        raise ConfigError(f"freeze: {', '.join(parts)} is all of the network: nothing is left to train.")
    return sorted(set(frozen))


def train_mode(model: nn.Module, frozen: Sequence[str]) -> None:
    """Put a network into training mode, but for the batch norms of frozen parts."""
    model.train()
    asleep = {name.rpartition(".")[0] for name in frozen}
    for name, module in model.named_modules():
        if name in asleep and isinstance(module, nn.modules.batchnorm._BatchNorm):  # noqa: SLF001
            module.eval()
