"""Windows lie on one absolute grid, and their boundaries do not show."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from phasenet_das.models import PhaseNet
from phasenet_das.picking.windows import stitch_weights, window_scores, window_starts


@given(
    num_samples=st.integers(1, 5000),
    window=st.integers(2, 600),
    first_index=st.integers(0, 10**12),
)
def test_windows_cover_the_record_and_stay_inside(num_samples: int, window: int, first_index: int) -> None:
    step = max(1, window // 2)
    starts = window_starts(num_samples, window, step, first_index)
    assert starts[0] == 0
    assert (np.diff(starts) > 0).all()
    assert (np.diff(starts) <= step).all()
    if num_samples > window:
        assert starts[-1] == num_samples - window
        assert ((starts[1:-1] + first_index) % step == 0).all()


def test_half_overlapping_weights_sum_to_one() -> None:
    weights = stitch_weights(3000)
    total = weights[:1500] + weights[1500:]
    assert (total - 1).abs().max() < 3e-4
    assert (weights > 0).all()


def _scores(data: torch.Tensor, first_index: int, batch_size: int) -> torch.Tensor:
    torch.manual_seed(3)
    network = PhaseNet(in_channels=1, window_samples=300).eval()
    with torch.inference_mode():
        return window_scores(
            data, network, window=300, normalization="std", first_index=first_index, batch_size=batch_size
        )


@settings(max_examples=10, deadline=None)
@given(batch_size=st.integers(1, 7), cut=st.integers(0, 500))
def test_scores_depend_neither_on_batches_nor_on_where_the_record_was_cut(batch_size: int, cut: int) -> None:
    data = torch.randn(5, 2000, generator=torch.Generator().manual_seed(0))
    whole = _scores(data, 1_000_003, 5)
    piece = _scores(data[:, cut:], 1_000_003 + cut, batch_size)
    inner = slice(300, -300)
    torch.testing.assert_close(piece[..., inner], whole[..., cut:][..., inner], atol=1e-5, rtol=0)


def test_probabilities_sum_to_one_and_ignore_gain_and_offset() -> None:
    data = torch.randn(3, 1000, generator=torch.Generator().manual_seed(1))
    scores = _scores(data, 0, 8)
    torch.testing.assert_close(scores.sum(dim=0), torch.ones(3, 1000), atol=1e-5, rtol=0)
    torch.testing.assert_close(_scores(data * 1e-7 + 3e-6, 0, 8), scores, atol=2e-3, rtol=0)


def test_silence_is_finite() -> None:
    assert torch.isfinite(_scores(torch.zeros(2, 700), 0, 8)).all()
