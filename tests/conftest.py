"""Fixtures shared by all tests."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import settings

from tests import tables_at_hand

# Nothing is timed here: on a busy machine a deadline fails what is right.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

SHARED = Path(os.environ.get("PHASENET_DAS_SHARED", Path(__file__).parents[2] / "shared"))


@pytest.fixture(autouse=True)
def log_levels() -> Iterator[None]:
    """Take back the level of the log that a command sets: it must not silence the log of later tests."""
    logs = [logging.getLogger(name) for name in ("phasenet_das", "gamma")]
    before = [log.level for log in logs]
    yield
    for log, level in zip(logs, before, strict=True):
        log.setLevel(level)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real recordings; tests that need it are skipped, and say so, where it is absent."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"needs the real recordings: no {SHARED / 'data'} (set PHASENET_DAS_SHARED)")
    return SHARED


@pytest.fixture(scope="session")
def events() -> pd.DataFrame:
    """The small catalog that tests share: its events."""
    return tables_at_hand.catalog_events()


@pytest.fixture(scope="session")
def channels() -> pd.DataFrame:
    """Its channel table."""
    return tables_at_hand.catalog_channels()


@pytest.fixture(scope="session")
def picks() -> pd.DataFrame:
    """Its picks."""
    return tables_at_hand.catalog_picks()
