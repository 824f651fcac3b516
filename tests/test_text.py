import math

import numpy as np
import pandas as pd
import pytest

from phasenet_das import text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.5, "0.5 s"),
        (119, "119 s"),
        (120, "2 minutes"),
        (5400, "90 minutes"),
        (129600, "36 hours"),
        (2e6, "23.1 days"),
    ],
)
def test_durations(seconds, words):
    assert text.duration(seconds) == words


def test_runs_of_channels():
    assert text.runs(np.array([3, 50, 51, 52, 51])) == "3, 50-52"
    assert text.runs(np.arange(0, 40, 2), most=2) == "0, 2 and 18 more"


def test_numbers_and_their_uncertainty():
    assert text.number(1.25, ".1f") == "1.2"
    assert text.number(math.nan, ".1f", "-") == "-"
    assert text.plus_minus(1.4, "s") == " ± 1.4 s"
    assert text.plus_minus(math.inf, "km") == " km"


def test_unknown_values_are_null_in_json():
    table = pd.DataFrame({"n": np.array([1], np.int64), "x": [np.nan]})
    row = text.json_records(table)[0]
    assert row == {"n": 1, "x": None}
    assert type(row["n"]) is int
