"""One station code for each receiver, the same in every export format.

A code has at most five characters, capital letters and digits, so that it is valid in SEED and
FDSN StationXML (5), NonLinLoc (6), Nordic (5), hypoDD (5, 7 in newer releases) and HypoInverse (5).

Fibre channels: a letter for the cable and four characters for the channel number, ``D2500`` for
channel 2500. Channels from 10,000 on go on with a letter in place of the thousands (``DA000`` is
10,000, ``DZ999`` is 35,999), and from 36,000 on with base-36 digits, so that a code says the channel
and never depends on which other channels are in the table. Cables take the letters D, E, F, ... in
the order of their names.

Seismometers keep the code they have: ``CI.CCC`` and ``CI.CCC.00.HHZ`` give network ``CI`` and station
``CCC``. A name that is no valid code, or that an earlier station has taken, gets a letter and a number.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from phasenet_das.errors import ChannelGeometryError
from phasenet_das.tables.columns import CHANNEL_COLUMNS, conform

_CABLE_LETTERS = "DEFGHIJKLMNOPQRSTUVWXYZABC"
_DIGITS = np.array(list("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
_MAX_CHANNELS = 36_000 + 36 * 26 * 36 * 36
# SEED band codes of broadband instruments, by the least sampling rate in Hz.
_BANDS = ((1000.0, "F"), (250.0, "C"), (80.0, "H"), (10.0, "B"), (1.0001, "M"), (0.0, "L"))
_NETWORK = re.compile(r"[A-Z0-9]{1,8}")
_STATION = re.compile(r"[A-Z0-9]{1,5}")


def station_codes(receivers: pd.DataFrame, network: str = "XX") -> pd.DataFrame:
    """Give every receiver its FDSN network, station, location and channel code.

    Parameters
    ----------
    receivers : pandas.DataFrame
        Columns ``station_id`` and ``channel_index`` (-1 for a seismometer); repeated receivers are
        taken once. Pass the whole channel table where there is one: the letter of a cable depends
        on which cables there are.
    network : str, optional
        Network code of the cables, and of seismometers whose name carries none. ``XX`` is the code
        that the FDSN reserves for data without a registered network.

    Returns
    -------
    pandas.DataFrame
        One row per receiver, sorted by ``station_id`` and ``channel_index``, with ``network_code``,
        ``station_code`` (unique), ``location_code`` and ``channel_code`` (both empty for a fibre, whose
        band code would need the sampling rate).

    Raises
    ------
    ChannelGeometryError
        The network code is not valid, a channel number has no code, or there are too many cables.
    """
    if not _NETWORK.fullmatch(network):
        raise ChannelGeometryError(
            f"network '{network}': expected one to eight capital letters or digits, such as 'XX'."
        )
    table = receivers[["station_id", "channel_index"]].drop_duplicates()
    table = table.sort_values(["station_id", "channel_index"]).reset_index(drop=True)
    fibre = table["channel_index"].to_numpy() != -1
    seismometers = _seismometer_codes(table.loc[~fibre, "station_id"].astype(str).tolist(), network)
    taken = [str(code) for code in seismometers["station_code"] if code]
    letters = _free_letters(taken)
    for column in seismometers.columns:
        table[column] = ""
        table.loc[~fibre, column] = seismometers[column].to_numpy()
    unnamed = ~fibre & (table["station_code"] == "").to_numpy()
    if unnamed.any():
        numbers = _channel_part(np.arange(int(unnamed.sum())))
        table.loc[unnamed, "station_code"] = np.char.add(_take(letters, 1)[0], numbers)
    cables = sorted(table.loc[fibre, "station_id"].unique())
    letter_of = dict(zip(cables, _take(letters, len(cables)), strict=True))
    prefix = table.loc[fibre, "station_id"].map(letter_of).to_numpy(dtype=str)
    table.loc[fibre, "station_code"] = np.char.add(prefix, _channel_part(table.loc[fibre, "channel_index"]))
    table.loc[fibre, "network_code"] = network
    return table


def band_code(rate_hz: float) -> str:
    """Return the SEED band code of a sampling rate, such as ``H`` for 100 Hz."""
    return next(code for least, code in _BANDS if rate_hz >= least)


def _seismometer_codes(names: list[str], network: str) -> pd.DataFrame:
    """Split names such as ``CI.CCC.00.HHZ``; an invalid or repeated station code is left empty."""
    rows, taken = [], set()
    for name in names:
        parts = name.upper().split(".")
        net = parts.pop(0) if len(parts) > 1 and _NETWORK.fullmatch(parts[0]) else network
        station = parts[0] if _STATION.fullmatch(parts[0]) and parts[0] not in taken else ""
        taken.add(station)
        location = parts[1] if len(parts) > 1 and re.fullmatch(r"[A-Z0-9]{2}", parts[1]) else ""
        channel = parts[2] if len(parts) > 2 and re.fullmatch(r"[A-Z0-9]{3}", parts[2]) else ""
        rows.append((net, station, location, channel))
    return pd.DataFrame(rows, columns=["network_code", "station_code", "location_code", "channel_code"])


def _free_letters(taken: list[str]) -> list[str]:
    """Letters that cannot give a code which a registered station already has."""
    used = {code[0] for code in taken if len(code) == 5}
    return [letter for letter in _CABLE_LETTERS if letter not in used]


def _take(letters: list[str], count: int) -> list[str]:
    if count > len(letters):
        raise ChannelGeometryError(
            f"{count} cables, but only {len(letters)} letters are free for their station codes. "
            "Export them in groups."
        )
    taken = letters[:count]
    del letters[:count]
    return taken


def _channel_part(channel_index: pd.Series | np.ndarray) -> np.ndarray:
    """Write channel numbers with four characters.

    `channel_index` (n,) int. Returns (n,) str.
    """
    number = np.asarray(channel_index, dtype=np.int64)
    wrong = (number < 0) | (number >= _MAX_CHANNELS)
    if wrong.any():
        raise ChannelGeometryError(
            f"channel {number[wrong][0]} has no station code: expected 0 to {_MAX_CHANNELS - 1}, "
            "or -1 for a seismometer."
        )
    # The second character is a digit below 36,000 and a letter above, which keeps the two ranges apart.
    high = number - 36_000
    far = high >= 0
    first = np.where(far, high // (26 * 1296), number // 1000)
    second = np.where(far, 10 + high // 1296 % 26, number // 100 % 10)
    third = np.where(far, high // 36 % 36, number // 10 % 10)
    fourth = np.where(far, high % 36, number % 10)
    code = _DIGITS[first]
    for digit in (second, third, fourth):
        code = np.char.add(code, _DIGITS[digit])
    return code


def place_stations(channels: pd.DataFrame, network: str = "XX") -> pd.DataFrame:
    """Give every placed receiver its station code, for station files."""
    channels = conform(channels, CHANNEL_COLUMNS, "channels")
    receiver = ["station_id", "channel_index"]
    placed = channels.merge(station_codes(channels, network), on=receiver, how="left")
    placed = placed[placed[["longitude", "latitude", "elevation_m"]].notna().all(axis=1)]
    if placed.empty:
        raise ChannelGeometryError(
            "no channel has longitude, latitude and elevation_m, which a station file is made of. Fill them "
            "in the channel table."
        )
    return placed.sort_values("station_code", ignore_index=True)
