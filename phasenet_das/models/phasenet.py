"""PhaseNet (Zhu & Beroza, 2019): a 1-D U-Net that gives each sample the probability of noise, P and S.

The layers bear the names of SeisBench's state dict, so that published weight files load directly.
Padding follows TensorFlow's ``SAME`` rule, with which the published weights were trained. How that
rule splits the padding between left and right depends on the length, and a split that the weights do
not know shifts arrivals by samples; so the split of the training length is kept at every length.
"""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from phasenet_das.models.precision import InFloat32

_KERNEL = 7
_STRIDE = 4
_LEVELS = 5
_UP_CROP = (_KERNEL - _STRIDE) // 2  # where SAME begins in the full transposed convolution
_TENSORFLOW_EPSILON = 1e-3


class PhaseNet(nn.Module):
    """PhaseNet after Zhu & Beroza (2019), doi:10.1093/gji/ggy423, figure 4.

    Parameters
    ----------
    in_channels : int
        Components of the input (3 for a seismometer, 1 for a fibre channel).
    classes : int
        Output classes; the first is noise.
    filters : int
        Filters of the first level; each of the five levels doubles them.
    window_samples : int
        Training length, which sets how strided layers are padded on the left.

    Attributes
    ----------
    model_args : dict
        The arguments above.

    Notes
    -----
    The input is standardised by the caller: each component demeaned and divided by its population
    standard deviation over the window.
    """

    def __init__(
        self, in_channels: int = 3, classes: int = 3, filters: int = 8, window_samples: int = 3000
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.classes = classes
        self.filters = filters
        self.model_args: dict[str, Any] = {
            "in_channels": in_channels,
            "classes": classes,
            "filters": filters,
            "window_samples": window_samples,
        }
        self._alignment = _training_alignment(window_samples)
        width = [filters * 2**level for level in range(_LEVELS)]
        self.inc = nn.Conv1d(in_channels, width[0], _KERNEL)
        self.in_bn = _batch_norm(width[0])
        self.down_branch = nn.ModuleList()
        last = width[0]
        for level, size in enumerate(width):
            layers: list[nn.Module] = [nn.Conv1d(last, size, _KERNEL, bias=False), _batch_norm(size)]
            if level < _LEVELS - 1:
                layers += [nn.Conv1d(size, size, _KERNEL, _STRIDE, bias=False), _batch_norm(size)]
            self.down_branch.append(nn.ModuleList(layers))
            last = size
        self.up_branch = nn.ModuleList()
        for size in reversed(width[:-1]):
            up = nn.ConvTranspose1d(2 * size, size, _KERNEL, _STRIDE, bias=False)
            same = nn.Conv1d(2 * size, size, _KERNEL, bias=False)
            self.up_branch.append(nn.ModuleList([up, _batch_norm(size), same, _batch_norm(size)]))
        self.out = nn.Conv1d(width[0], classes, 1)

    def forward(self, waveforms: Tensor) -> Tensor:
        """Compute the logits of every class at every sample.

        Parameters
        ----------
        waveforms : torch.Tensor, shape (batch, in_channels, time), float32
            Standardised windows; or (batch, 1, channel, time), pieces of fibre, of which each channel is fed
            by itself to all components.

        Returns
        -------
        torch.Tensor, shape (batch, classes, time) or (batch, classes, channel, time), float32
            Softmax over the second axis gives probabilities.
        """
        if waveforms.ndim == 4:
            batch, _, channels, samples = waveforms.shape
            single = waveforms.reshape(batch * channels, 1, samples).expand(-1, self.in_channels, -1)
            of_channels: Tensor = self(single)
            return of_channels.reshape(batch, channels, self.classes, samples).transpose(1, 2)
        x = functional.relu(self.in_bn(self.inc(functional.pad(waveforms, (_KERNEL // 2, _KERNEL // 2)))))
        skips = []
        for level, layers in enumerate(self.down_branch):
            x = functional.relu(layers[1](_same(layers[0], x, _KERNEL // 2)))  # type: ignore[index]
            if level < _LEVELS - 1:
                skips.append(x)
                x = functional.relu(layers[3](_same(layers[2], x, self._alignment[level][0])))  # type: ignore[index]
        for level, layers in zip(reversed(range(_LEVELS - 1)), self.up_branch, strict=True):
            skip = skips.pop()
            x = functional.relu(layers[1](layers[0](x)))  # type: ignore[index]
            first = _UP_CROP + self._alignment[level][1]
            x = _crop(x, first, skip.shape[-1])
            x = functional.relu(layers[3](_same(layers[2], torch.cat([skip, x], dim=1), _KERNEL // 2)))  # type: ignore[index]
        logits: Tensor = self.out(x)
        return logits

    def fused(self) -> PhaseNet:
        """Copy the network for inference, with every batch norm folded into its convolution.

        Returns
        -------
        PhaseNet
            In evaluation mode; the same function to rounding (about 1e-5 in the logits), a third faster.
        """
        model = copy.deepcopy(self).eval()
        model.inc = fuse_conv_bn_eval(model.inc, model.in_bn)
        model.in_bn = nn.Identity()  # type: ignore[assignment]
        for branch, transposed in ((model.down_branch, False), (model.up_branch, True)):
            for layers in branch:
                for i in range(0, len(layers), 2):  # type: ignore[arg-type]
                    fold = fuse_conv_bn_eval(layers[i], layers[i + 1], transpose=transposed and i == 0)  # type: ignore[index]
                    layers[i], layers[i + 1] = fold, nn.Identity()  # type: ignore[operator]
        model.out = InFloat32(model.out)  # type: ignore[assignment]
        return model


def _batch_norm(size: int) -> nn.BatchNorm1d:
    return nn.BatchNorm1d(size, eps=_TENSORFLOW_EPSILON)


def _training_alignment(num_samples: int) -> list[tuple[int, int]]:
    """Left padding of each strided layer, and crop of the layer that undoes it, at the training length.

    TensorFlow's SAME rule: ceil(n / stride) samples out, an odd padding's larger half on the right; the
    skip connection takes the middle of the up-sampled layer.
    """
    alignment = []
    for _ in range(_LEVELS - 1):
        out = -(-num_samples // _STRIDE)
        padding = max((out - 1) * _STRIDE + _KERNEL - num_samples, 0)
        alignment.append((padding // 2, (out * _STRIDE - num_samples) // 2))
        num_samples = out
    return alignment


def _same(conv: nn.Module, x: Tensor, left: int) -> Tensor:
    """Convolve to ceil(n / stride) samples with the left padding given."""
    assert isinstance(conv, nn.Conv1d)  # noqa: S101 - narrows the type of a ModuleList item
    stride, n = conv.stride[0], x.shape[-1]
    right = (-(-n // stride) - 1) * stride + _KERNEL - n - left
    if left == right:
        return functional.conv1d(x, conv.weight, conv.bias, stride, padding=left)
    return functional.conv1d(functional.pad(x, (left, right)), conv.weight, conv.bias, stride)


def _crop(x: Tensor, first: int, num_samples: int) -> Tensor:
    """Cut samples out, with zeros where `x` ends before."""
    lacking = first + num_samples - x.shape[-1]
    return (
        functional.pad(x, (0, lacking))[..., first:] if lacking > 0 else x[..., first : first + num_samples]
    )
