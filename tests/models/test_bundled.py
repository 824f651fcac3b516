"""The weights that ship: whole, licensed, documented, and the same function as when they were trained."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from phasenet_das.models import load_weights
from phasenet_das.models.zoo import BUNDLED

# Mean probability of noise, P and S on an onset of P-like and S-like size in seeded noise.
REFERENCE = {"phasenet-das": (0.96336, 0.01348, 0.02316)}


def onset() -> torch.Tensor:
    rng = np.random.default_rng(0)
    data = rng.standard_normal((32, 1536)).astype(np.float32)
    time = np.arange(1536)
    for first, size in ((400, 6.0), (800, 20.0)):
        data += (
            size
            * (time >= first)
            * np.exp(-np.maximum(time - first, 0) / 150)
            * np.sin(0.35 * (time - first))
        )
    return torch.from_numpy(data[None, None].astype(np.float32))


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLED.glob("*/config.json")))
def test_bundled_weights_are_whole_and_give_what_they_gave(name: str) -> None:
    weights = load_weights(name)
    assert weights.provenance["license"] == "MIT"
    assert (BUNDLED / name / "README.md").read_text().startswith("---\nlicense")
    assert sum(path.stat().st_size for path in (BUNDLED / name).iterdir()) < 12e6
    with torch.inference_mode():
        scores = torch.softmax(weights.model(onset()), dim=1)[0]
    np.testing.assert_allclose(scores.mean(dim=(1, 2)), REFERENCE[name], atol=2e-4)
    assert weights.calibration is not None
    assert set(weights.calibration.curves) == {"P", "S"}
