"""The commands that draw: each draws the tables it is given, and refuses a figure without a target."""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from phasenet_das import io
from phasenet_das.cli import main
from phasenet_das.tables import write_table
from tests.tables_at_hand import catalog_channels, catalog_events, catalog_picks

mpl.use("Agg")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalog, its channels, and a minute of its cable."""
    place = tmp_path_factory.mktemp("plot")
    write_table(catalog_events(), place / "events.parquet")
    write_table(catalog_picks(), place / "picks.parquet")
    catalog_channels().to_csv(place / "channels.csv", index=False)
    data = np.random.default_rng(0).standard_normal((200, 3000)).astype(np.float32)
    channels = np.arange(2000, 2200)
    patch = io.make_patch(
        data, start_time="2020-01-01T00:00:00", dt_s=0.01, channel_index=channels, station_id="CABLE"
    )
    io.write_quakeflow(patch, place / "record.h5")
    return place


def run(folder: Path, monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Run ``phasenet-das plot`` in the folder; return its exit code."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["phasenet-das", "plot", *words])
    with pytest.raises(SystemExit) as stop:
        main()
    return int(stop.value.code or 0)


@pytest.mark.parametrize("command", ["map . --channels channels.csv", "timeline ."])
def test_catalogs_are_drawn_to_a_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    target = tmp_path / "figure.svg"
    assert run(folder, monkeypatch, *command.split(), "-o", str(target)) == 0
    assert "<svg" in target.read_text()


def test_a_record_section_stands_by_distance_from_the_hypocentre(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[np.ndarray] = []
    monkeypatch.setattr(
        "phasenet_das.plot.record_section", lambda _, distance, *__, **___: drawn.append(distance)
    )
    words = [
        "record-section",
        "record.h5",
        "--catalog",
        ".",
        "--event",
        "1",
        "--channels",
        "channels.csv",
        "-o",
    ]
    assert run(folder, monkeypatch, *words, str(tmp_path / "r.png")) == 0
    (distance,) = drawn
    assert distance.shape == (200,)
    table = catalog_channels().iloc[:200]
    east, north = 90.6 * (table["longitude"] + 117.5), 111.0 * (table["latitude"] - 35.7)
    expected = np.sqrt(east**2 + north**2 + (8.25 + 0.6) ** 2)
    np.testing.assert_allclose(distance, expected, rtol=0.01)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("map .", "--show"),
        ("record-section record.h5 --catalog . --event 9 --channels channels.csv --show", "events 1 to 2"),
        ("record-section record.h5 --catalog . --event 2 --channels channels.csv --show", "no position"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    assert run(folder, monkeypatch, *words.split()) == 1
    assert said in capsys.readouterr().err


def test_a_window_is_shown_when_asked_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot as plt

    plt.close("all")
    shown: list[int] = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    assert run(folder, monkeypatch, "timeline", ".", "--show") == 0
    assert len(shown) == 1
    plt.close("all")


def test_picks_of_a_section_are_read(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[pd.DataFrame] = []
    monkeypatch.setattr("phasenet_das.plot.section", lambda _, picks, **__: drawn.append(picks))
    words = ["section", "record.h5", "--picks", "picks.parquet", "-o", str(tmp_path / "s.png")]
    assert run(folder, monkeypatch, *words) == 0
    assert len(drawn[0]) == len(catalog_picks())


@pytest.mark.parametrize("name", ["figure", "figure.xyz"])
def test_a_figure_without_a_known_ending_is_refused(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
) -> None:
    assert run(folder, monkeypatch, "timeline", ".", "-o", str(tmp_path / name)) == 1
    assert ".png, .pdf" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
