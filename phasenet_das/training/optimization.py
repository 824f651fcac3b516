"""The numbers of the loop: loss, learning rate, moving average, frozen parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from gamma.errors import nearest_name
from phasenet_das.errors import ConfigError
from phasenet_das.models.precision import multiplies_bfloat16

_CACHED = 2**17  # numbers of a map at a time


def masked_loss_sum(logits: Tensor, targets: Tensor, mask: Tensor, weights: Sequence[float]) -> Tensor:
    """Sum the cross-entropy over the pixels, each as much as its mask says.

    `logits` and `targets` (batch, 3, channel, time), `mask` (batch, channel, time) in [0, 1]. Returns ().
    """
    loss: Tensor = _CrossEntropy.apply(logits, targets, mask, weights)  # type: ignore[no-untyped-call]
    return loss


class _CrossEntropy(torch.autograd.Function):
    """The loss and its gradient at once, on a CPU in parts that stay in a processor's cache."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - torch's, without a public type
        logits: Tensor,
        targets: Tensor,
        mask: Tensor,
        weights: Sequence[float],
    ) -> Tensor:
        scale = torch.tensor(weights, device=logits.device).view(-1, 1, 1)
        gradient = torch.empty_like(logits, memory_format=torch.contiguous_format)
        losses = []
        for part in _parts(logits):
            counted = targets[part] * mask.unsqueeze(1)[part]
            if any(weight != 1 for weight in weights):
                counted *= scale
            planes = logits[part].to(torch.float32, memory_format=torch.contiguous_format)
            planes = planes - planes.amax(-3, keepdim=True)
            ratios, total = planes.exp(), counted.sum(-3, keepdim=True)
            norm = ratios.sum(-3, keepdim=True)
            losses.append(_dot(total, norm.log()) - _dot(counted, planes))
            gradient[part] = ratios.mul_(total.div_(norm)).sub_(counted)
        ctx.gradient = gradient
        return torch.stack(losses).sum()

    @staticmethod
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        gradient, ctx.gradient = ctx.gradient, None
        return gradient.mul_(upstream), None, None, None


def _parts(maps: Tensor) -> list[tuple[int | slice, ...]]:
    """Cut maps (batch, 3, channel, time) into rows of a few channels; on a GPU they stay whole."""
    if maps.device.type != "cpu":
        return [(slice(None),)]
    rows = max(1, _CACHED // (maps.shape[1] * maps.shape[3]))
    starts = range(0, maps.shape[2], rows)
    return [(item, slice(None), slice(row, row + rows)) for item in range(len(maps)) for row in starts]


def _dot(one: Tensor, other: Tensor) -> Tensor:
    return torch.dot(one.flatten(), other.flatten())


def half_precision(amp: str, device: str) -> Literal["off", "bf16", "fp16"]:
    """Resolve `auto`: bfloat16 where the processor multiplies it by itself."""
    on_cuda = device.startswith("cuda")
    if amp == "fp16" and not on_cuda:
        raise ConfigError("amp: fp16 works on CUDA only. Set auto, bf16 or off.")
    if amp != "auto":
        return cast("Literal['off', 'bf16', 'fp16']", amp)
    return "bf16" if multiplies_bfloat16(torch.device(device)) else "off"


class MovingAverage:
    """Exponential moving average of a network's weights; buffers are copied.

    The result of a training is its mean with the first weights, which have `start_share` in it.
    """

    def __init__(self, model: nn.Module, decay: float, start_share: float = 0.0) -> None:
        self.model = copy.deepcopy(model).requires_grad_(False).eval()
        self.decay, self.start_share = decay, start_share
        self._start = copy.deepcopy(self.model.state_dict()) if start_share else {}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take the weights of a step in."""
        decay = min(self.decay, (1 + step) / (10 + step))
        for mean, value in zip(self.model.parameters(), model.parameters(), strict=True):
            mean.lerp_(value, 1 - decay)
        for kept, buffer in zip(self.model.buffers(), model.buffers(), strict=True):
            kept.copy_(buffer)

    @torch.no_grad()
    def result(self) -> nn.Module:
        """Mix the average with the first weights (Wortsman et al. 2022)."""
        if not self.start_share:
            return self.model
        mixed = copy.deepcopy(self.model)
        for name, value in mixed.state_dict().items():
            if value.is_floating_point():
                value.lerp_(self._start[name], self.start_share)
        return mixed


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
