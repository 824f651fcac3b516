"""Every door to the associator gives one catalog: Python, `gamma`, `phasenet-das`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pandas as pd
import pytest
import yaml
from typer.testing import CliRunner

import gamma
import phasenet_das as pn
from gamma.cli import app as gamma_app
from gamma.errors import PickError
from gamma.receivers import LocalFrame
from phasenet_das.cli import app as phasenet_das_app
from phasenet_das.tables import CHANNEL_COLUMNS, PICK_COLUMNS, conform, make_pick_ids
from tests.gamma import made_picks as made
from tests.tables_at_hand import pick_table

SETTINGS = {"vp_km_s": made.VP, "vs_km_s": made.VS, "max_distance_km": 20.0}
LAYERS = [(-2.0, 3.6, 2.0), (1.0, 5.2, 2.95), (6.0, 6.0, 3.45)]  # depth in km, vp and vs in km/s
MODEL = [{"depth_km": z, "vp_km_s": vp, "vs_km_s": vs} for z, vp, vs in LAYERS]


@pytest.fixture(scope="module")
def sequence() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Picks of six events 2 s apart on a bent cable of 40 channels, and the channel table.

    The first look finds five of the events, the second look the sixth.
    """
    cable = made.cable(40, 0.3)
    picks = made.make_picks(cable, made.events(6, seed=4, spacing_s=2.0), seed=4, false=30, keep=0.9)
    longitude, latitude = LocalFrame(12.0, 42.0).to_geographic(cable["x_km"], cable["y_km"])
    channels = cable.assign(
        longitude=longitude, latitude=latitude, elevation_m=0.0, distance_m=300.0 * cable.index, status="ok"
    )
    picks["pick_id"] = make_pick_ids(
        picks["station_id"].to_numpy(str),
        picks["channel_index"].to_numpy(),
        picks["phase_type"].to_numpy(str),
        picks["phase_time"].astype("int64").to_numpy(),
    )
    unknown = {"event_index": -1, "phase_amplitude": np.nan, "association_score": np.nan}
    picks = picks.assign(distance_m=300.0 * picks["channel_index"], travel_time_residual_s=np.nan, **unknown)
    return conform(picks, PICK_COLUMNS), conform(channels, CHANNEL_COLUMNS)


@pytest.fixture(scope="module")
def catalog(sequence: tuple[pd.DataFrame, pd.DataFrame]) -> gamma.AssociationResult:
    result = gamma.associate(*sequence, gamma.AssociationConfig(**SETTINGS))
    assert result.summary["events_on_second_look"] > 0, "choose a sequence that needs the second look"
    return result


@pytest.fixture
def files(sequence: tuple[pd.DataFrame, pd.DataFrame], tmp_path: Path) -> Path:
    pn.write_table(sequence[0], tmp_path / "picks.parquet")
    sequence[1].to_csv(tmp_path / "channels.csv", index=False)
    (tmp_path / "gamma.yaml").write_text(yaml.safe_dump(SETTINGS))
    (tmp_path / "cable.yaml").write_text(yaml.safe_dump({"association": SETTINGS}))
    return tmp_path


def same(catalog: gamma.AssociationResult, events: pd.DataFrame, picks: pd.DataFrame) -> None:
    shared = [name for name in catalog.events.columns if name in events.columns]
    assert {"event_id", "time", "depth_km", "num_picks", "location_quality"} <= set(shared)
    pd.testing.assert_frame_equal(events[shared], catalog.events[shared])
    names = ["event_index", "association_score", "travel_time_residual_s", "associated_phase", "group_index"]
    expected = catalog.picks.set_index("pick_id")[names].sort_index()
    pd.testing.assert_frame_equal(picks.set_index("pick_id")[names].sort_index(), expected)


def run(app: object, *arguments: str | Path) -> None:
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def test_python_gives_the_catalog_of_gamma(
    sequence: tuple[pd.DataFrame, pd.DataFrame], catalog: gamma.AssociationResult
) -> None:
    found = pn.associate(*sequence, gamma.AssociationConfig(**SETTINGS))
    same(catalog, found.events, found.picks)
    assert {**found.summary, "rounds": 0} == {**catalog.summary, "rounds": 0}


def test_the_order_of_picks_and_the_number_of_workers_do_not_show(
    sequence: tuple[pd.DataFrame, pd.DataFrame], catalog: gamma.AssociationResult
) -> None:
    shuffled = sequence[0].sample(frac=1.0, random_state=4)
    found = pn.associate(shuffled, sequence[1], gamma.AssociationConfig(**SETTINGS), workers=2)
    same(catalog, found.events, found.picks)
    assert found.picks["pick_id"].tolist() == shuffled["pick_id"].tolist()


def test_the_command_gamma_gives_the_catalog(files: Path, catalog: gamma.AssociationResult) -> None:
    inputs = [files / "picks.parquet", "--stations", files / "channels.csv"]
    run(gamma_app, "associate", *inputs, "--config", files / "gamma.yaml", "-o", files / "out")
    events, picks = (pd.read_parquet(files / "out" / f"{name}.parquet") for name in ("events", "picks"))
    same(catalog, events, picks)


def test_the_command_phasenet_das_gives_the_catalog(files: Path, catalog: gamma.AssociationResult) -> None:
    inputs = [files / "picks.parquet", "--channels", files / "channels.csv"]
    run(phasenet_das_app, "associate", *inputs, "--config", files / "cable.yaml", "-o", files / "out")
    out = files / "out"
    same(catalog, pn.read_events(out / "events.parquet"), pn.read_picks(out / "picks.parquet"))


@pytest.mark.parametrize(
    ("flags", "model"),
    [
        ("", {"layers": MODEL}),
        ("--layers other.csv", {"layers": MODEL[:2]}),
        ("--vp-km-s 5.5 --vs-km-s 3.0", {"vp_km_s": 5.5, "vs_km_s": 3.0}),
        ("--vp 5.5 --vs 3.0", {"vp_km_s": 5.5, "vs_km_s": 3.0}),
    ],
)
@pytest.mark.parametrize("command", ["gamma", "phasenet-das"])
def test_flags_of_both_commands_override_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, flags: str, model: dict[str, Any]
) -> None:
    site, seen = tmp_path / "site", []
    site.mkdir()
    rows = ["depth_km,vp_km_s,vs_km_s", *(f"{z},{vp},{vs}" for z, vp, vs in LAYERS)]
    (site / "layers.csv").write_text("\n".join(rows))
    (tmp_path / "other.csv").write_text("\n".join(rows[:3]))
    stated = {"layers": "layers.csv", "max_distance_km": 20.0}  # counts from the settings file
    settings = stated if command == "gamma" else {"association": stated}
    (site / "settings.yaml").write_text(json.dumps(settings))
    pick_table(np.arange(2), 1.0).to_parquet(tmp_path / "picks.parquet")
    (tmp_path / "stations.csv").write_text("station_id,x_km,y_km,z_km\nA,0,0,0\n")
    monkeypatch.chdir(tmp_path)

    def spy(_picks: Any, _receivers: Any, settings: gamma.AssociationConfig, **_options: Any) -> NoReturn:
        seen.append(settings)
        raise PickError("seen")

    monkeypatch.setattr(gamma, "associate", spy)
    words = ["associate", "picks.parquet", "--config", "site/settings.yaml", *flags.split(), "-o", "out"]
    if command == "gamma":
        CliRunner().invoke(gamma_app, [*words, "--stations", "stations.csv"])
    else:
        CliRunner().invoke(phasenet_das_app, words)
    assert seen == [gamma.AssociationConfig(**model, max_distance_km=20.0)]
