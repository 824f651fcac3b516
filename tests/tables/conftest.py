"""The small catalog that tests share."""

from __future__ import annotations

import pandas as pd
import pytest

from tests import tables_at_hand


@pytest.fixture(scope="session")
def events() -> pd.DataFrame:
    return tables_at_hand.catalog_events()


@pytest.fixture(scope="session")
def channels() -> pd.DataFrame:
    return tables_at_hand.catalog_channels()


@pytest.fixture(scope="session")
def picks() -> pd.DataFrame:
    return tables_at_hand.catalog_picks()
