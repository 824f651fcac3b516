"""The network that the published PhaseNet-DAS checkpoints fit.

Zhu et al. (2023), doi:10.1038/s41467-023-43355-3: a U-Net of 7 x 7 kernels and 4 x 4 strides that
normalises amplitudes itself, over moving windows of its own input. Its scores therefore depend on
where the input begins and ends: the picker runs it on one fixed absolute grid of windows. The layers
bear the names of the published state dict.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from phasenet_das.errors import DataFormatError

_KERNEL, _STRIDE, _PADDING = 7, 4, 3
_WIDTHS = (16, 32, 64, 128, 256)
_CLASSES = 3
_HALF_WINDOW, _HOP = 1024, 256


class EQNet(nn.Module):
    """The shape of the published PhaseNet-DAS, with 10.7 million parameters.

    Attributes
    ----------
    stride : tuple of int
        Total step in channel and time.
    min_samples : int
        Shortest input in time: its normalisation mirrors 1024 samples at both ends.
    model_args : dict
        Empty: the shape is fixed.
    """

    stride = (1024, 1024)
    min_samples = _HALF_WINDOW + 1

    def __init__(self) -> None:
        super().__init__()
        self.model_args: dict[str, Any] = {}
        self.backbone = _Backbone()
        self.classifier = _Classifier()

    def forward(self, data: Tensor) -> Tensor:
        """Compute the logits of noise, P and S.

        Parameters
        ----------
        data : torch.Tensor, shape (batch, 1, channel, time), float32
            Raw amplitudes, more than 1024 samples long. Published weights know multiples of 1024 in both
            directions; at other lengths the coarser maps are cut to fit.

        Returns
        -------
        torch.Tensor, shape (batch, 3, channel, time), float32
            Softmax over the second axis gives probabilities.

        Raises
        ------
        DataFormatError
            The input is too short.
        """
        if data.shape[-1] < self.min_samples:
            raise DataFormatError(f"{data.shape[-1]} samples: this network needs {self.min_samples} or more.")
        x = _normalise(data.transpose(-1, -2))
        logits: Tensor = self.classifier(self.backbone(x), x.shape)
        return logits.transpose(-1, -2)

    def fused(self) -> EQNet:
        """Copy the network for inference: batch norms folded, weights laid out channels last.

        Returns
        -------
        EQNet
            In evaluation mode; the same function to rounding.
        """
        model = copy.deepcopy(self).eval()
        for part in model.backbone.children():
            if isinstance(part, _Part):
                part.fold()
        return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class _Part(nn.Module):
    """Convolutions with their batch norms, paired by name."""

    pairs: tuple[tuple[str, str], ...] = ()

    def run(self, x: Tensor, pair: int) -> Tensor:
        conv, norm = self.pairs[pair]
        return torch.relu_(getattr(self, norm)(getattr(self, conv)(x)))

    def fold(self) -> None:
        for conv_name, norm_name in self.pairs:
            conv = getattr(self, conv_name)
            folded = fuse_conv_bn_eval(
                conv, getattr(self, norm_name), transpose=isinstance(conv, nn.ConvTranspose2d)
            )
            setattr(self, conv_name, folded)
            setattr(self, norm_name, nn.Identity())


class _Encoder(_Part):
    def __init__(self, level: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.pairs = tuple((f"enc{level}_conv{i}", f"enc{level}_norm{i}") for i in (1, 2))
        self.add_module(self.pairs[0][0], _conv(inputs, outputs, _STRIDE))
        self.add_module(self.pairs[0][1], nn.BatchNorm2d(outputs))
        self.add_module(self.pairs[1][0], _conv(outputs, outputs))
        self.add_module(self.pairs[1][1], nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self.run(x, 0), 1)


class _Bottleneck(_Part):
    pairs = (("bottle_conv", "bottle_norm"),)

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.bottle_conv = _up(inputs, outputs)
        self.bottle_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(x, 0)


class _Decoder(_Part):
    def __init__(self, level: int, width: int) -> None:
        super().__init__()
        self.pairs = tuple((f"dec{level}_conv{i}", f"dec{level}_norm{i}") for i in (1, 2))
        self.add_module(self.pairs[0][0], _conv(2 * width, width))
        self.add_module(self.pairs[0][1], nn.BatchNorm2d(width))
        self.add_module(self.pairs[1][0], _up(width, width // 2))
        self.add_module(self.pairs[1][1], nn.BatchNorm2d(width // 2))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.run(self.run(_join(x, skip), 0), 1)


class _Output(_Part):
    pairs = (("output_conv", "output_norm"),)

    def __init__(self, width: int) -> None:
        super().__init__()
        self.output_conv = _conv(2 * width, width)
        self.output_norm = nn.BatchNorm2d(width)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        return self.run(_join(x, skip), 0)


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.input_conv = _Encoder(1, 1, _WIDTHS[0])
        self.encoder12 = _Encoder(2, _WIDTHS[0], _WIDTHS[1])
        self.encoder23 = _Encoder(3, _WIDTHS[1], _WIDTHS[2])
        self.encoder34 = _Encoder(4, _WIDTHS[2], _WIDTHS[3])
        self.encoder45 = _Encoder(5, _WIDTHS[3], _WIDTHS[4])
        self.upconv54 = _Bottleneck(_WIDTHS[4], _WIDTHS[3])
        self.decoder43 = _Decoder(4, _WIDTHS[3])
        self.decoder32 = _Decoder(3, _WIDTHS[2])
        self.decoder21 = _Decoder(2, _WIDTHS[1])
        self.output_conv = _Output(_WIDTHS[0])

    def forward(self, x: Tensor) -> Tensor:
        first = self.input_conv(x)
        second = self.encoder12(first)
        third = self.encoder23(second)
        fourth = self.encoder34(third)
        x = self.upconv54(self.encoder45(fourth))
        x = self.decoder43(x, fourth)
        x = self.decoder32(x, third)
        x = self.decoder21(x, second)
        out: Tensor = self.output_conv(x, first)
        return out


class _Classifier(nn.Module):
    """Upsampling to full resolution and the scores of the classes."""

    laplace_kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Conv2d(_WIDTHS[0], _CLASSES, _KERNEL, padding=_PADDING)
        # Published checkpoints carry this buffer of their training loss; nothing here uses it.
        self.register_buffer("laplace_kernel", torch.zeros(1, _CLASSES, 3, 3))

    def forward(self, x: Tensor, shape: torch.Size) -> Tensor:
        x = functional.interpolate(x, scale_factor=_STRIDE, mode="bilinear", align_corners=False)
        logits: Tensor = self.layers(x[..., : shape[-2], : shape[-1]])
        return logits


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, _KERNEL, stride, _PADDING, bias=False)


def _up(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, _KERNEL, _STRIDE, _PADDING, output_padding=3, bias=False)


def _join(x: Tensor, skip: Tensor) -> Tensor:
    return torch.cat([x[..., : skip.shape[-2], : skip.shape[-1]], skip], dim=1)


def _normalise(x: Tensor) -> Tensor:
    """Subtract the moving mean along time (axis 2), divide by the moving mean absolute value."""
    x = x - _moving_mean(x)
    scale = _moving_mean(x.abs())
    return x / torch.where(scale == 0, torch.ones_like(scale), scale)


def _moving_mean(x: Tensor) -> Tensor:
    """Mean over 2048 samples every 256, brought back to every sample by linear interpolation."""
    num_samples = x.shape[2]
    padded = functional.pad(x, (0, 0, _HALF_WINDOW, _HALF_WINDOW), mode="reflect")
    means = functional.avg_pool2d(padded, (2 * _HALF_WINDOW, 1), (_HOP, 1))
    full = functional.interpolate(means, scale_factor=(_HOP, 1), mode="bilinear", align_corners=False)
    return full[:, :, :num_samples]
