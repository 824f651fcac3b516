"""The numbers that networks multiply: float32, or bfloat16 where a processor has hardware for it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def multiplies_bfloat16(device: torch.device) -> bool:
    """Tell whether a processor multiplies bfloat16 by itself (AMX, AVX-512 BF16, GPUs since 2020)."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    # torch before 2.9 cannot be asked without its private names.
    abilities: Mapping[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return any(abilities.get(name, False) for name in ("amx_bf16", "avx512_bf16"))


def multiply_in(precision: str, device: torch.device) -> torch.autocast:
    """Run the convolutions of a network in a precision; the last layer and what follows stay in float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


class InFloat32(nn.Module):
    """A layer that computes in float32 whatever the precision around it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """Apply the layer to `x` in float32."""
        with torch.autocast(x.device.type, enabled=False):
            out: Tensor = self.layer(x.float())
        return out
