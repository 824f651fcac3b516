"""Station codes: valid, unique, and the same whatever else is in the table."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasenet_das.errors import ChannelGeometryError
from phasenet_das.tables import station_codes

receiver = st.tuples(st.sampled_from(["A", "B cable", "ç"]), st.integers(0, 1_249_055))


def receivers(*rows: tuple[str, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["station_id", "channel_index"])


def codes(*rows: tuple[str, int], network: str = "XX") -> list[str]:
    return station_codes(receivers(*rows), network)["station_code"].tolist()


@given(st.lists(receiver, min_size=1, unique=True))
def test_fibre_codes_are_valid_and_unique(rows):
    made = station_codes(receivers(*rows))
    assert made["station_code"].str.fullmatch("[A-Z][A-Z0-9]{4}").all()
    assert made["station_code"].is_unique
    assert len(made) == len(rows)


@given(st.lists(st.integers(0, 1_249_055), min_size=2, unique=True))
def test_a_channel_keeps_its_code_without_its_neighbours(numbers):
    together = dict(zip(sorted(numbers), codes(*(("A", number) for number in numbers)), strict=True))
    assert codes(("A", numbers[0])) == [together[numbers[0]]]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (0, "D0000"),
        (2500, "D2500"),
        (9999, "D9999"),
        (10_000, "DA000"),
        (35_999, "DZ999"),
        (36_000, "D0A00"),
        (1_249_055, "DZZZZ"),
    ],
)
def test_the_code_says_the_channel(number, code):
    assert codes(("BRADY", number)) == [code]


def test_cables_take_letters_in_the_order_of_their_names():
    assert codes(("WEST", 7), ("EAST", 7)) == ["D0007", "E0007"]


def test_seismometers_keep_their_names():
    made = station_codes(receivers(("CI.CCC.00.HHZ", -1), ("ABC", -1)), "NN")
    assert made[["network_code", "station_code", "location_code", "channel_code"]].to_numpy().tolist() == [
        ["NN", "ABC", "", ""],
        ["CI", "CCC", "00", "HHZ"],
    ]


def test_a_cable_gives_way_to_a_registered_station():
    assert codes(("CABLE", 1), ("CI.D0001", -1)) == ["E0001", "D0001"]


def test_equal_or_invalid_seismometer_names_get_codes_of_their_own():
    made = codes(("AA.XYZ", -1), ("BB.XYZ", -1), ("far too long", -1), ("CABLE", 0))
    assert len(set(made)) == 4
    assert all(len(code) <= 5 and code.isalnum() for code in made)


@pytest.mark.parametrize("number", [-2, 1_249_056])
def test_a_channel_without_code_is_refused(number):
    with pytest.raises(ChannelGeometryError, match=str(number)):
        codes(("A", number))


def test_an_invalid_network_is_refused():
    with pytest.raises(ChannelGeometryError, match="xx-1"):
        codes(("A", 0), network="xx-1")


def test_more_cables_than_letters_are_refused():
    with pytest.raises(ChannelGeometryError, match="27 cables"):
        codes(*((f"cable {number:02d}", 0) for number in range(27)))
