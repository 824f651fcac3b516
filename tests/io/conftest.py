"""Every kind of source in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.io.das_sources import BUILDERS, Builder, Source


@pytest.fixture(params=BUILDERS, ids=lambda build: build.__name__)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    """Every kind of source in turn."""
    build: Builder = request.param
    return build(tmp_path)
