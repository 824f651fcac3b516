"""A velocity model in a file is that of the settings, and a wrong one says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from gamma import AssociationConfig, read_layers
from gamma.config import Layer
from gamma.errors import ConfigError

ROWS = ["-2,3.6,2.0", "1,5.2,2.95", "6,6.0,3.45"]
EXPECTED = (
    Layer(depth_km=-2.0, vp_km_s=3.6, vs_km_s=2.0),
    Layer(depth_km=1.0, vp_km_s=5.2, vs_km_s=2.95),
    Layer(depth_km=6.0, vp_km_s=6.0, vs_km_s=3.45),
)


def write(folder: Path, header: str = "depth_km,vp_km_s,vs_km_s", rows: list[str] | None = None) -> Path:
    path = folder / "layers.csv"
    path.write_text("\n".join([header, *(ROWS if rows is None else rows)]) + "\n")
    return path


@pytest.mark.parametrize(
    "header", ["depth_km,vp_km_s,vs_km_s", "depth,vp,vs", "depth_km, vp, vs_km_s", "\ufeffdepth,vp,vs"]
)
def test_a_file_of_layers_is_read(tmp_path: Path, header: str) -> None:
    assert read_layers(write(tmp_path, header)) == EXPECTED


def test_other_columns_and_comments_are_skipped(tmp_path: Path) -> None:
    path = tmp_path / "layers.csv"
    path.write_text(
        "# of a well\nvs,rho,vp,depth\n2.0,2.3,3.6,-2\n\n# below\n2.95,2.6,5.2,1\n3.45,2.7,6.0,6\n"
    )
    assert read_layers(path) == EXPECTED


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("depth_km,vp_km_s", ["0,5"], r"missing column\(s\) vs_km_s. Found depth_km, vp_km_s"),
        ("depth_m,vp,vs", ["0,5,3"], r"missing column\(s\) depth_km. Found depth_m"),
        ("depth,vp,vs", [], "found no layer"),
        ("depth,vp,vs", ["0,5,3", "4,6"], "layer 2: found 2 values, expected 3"),
        ("depth,vp,vs", ["0,5,3", "4,fast,3"], "layer 2: vp_km_s: .*fast"),
        ("depth,vp,vs", ["0,5,3", "4,6,6"], "layer 2: vs_km_s 6 is not below vp_km_s 6"),
        ("depth,vp,vs", ["0,5,3", "4,6,0"], "layer 2: vs_km_s"),
        ("depth,vp,vs", ["0,5,3", "0,6,3.4"], r"increase downwards, found \[0.0, 0.0\]"),
        ("depth,vp,vs", ["5,5,3", "1,6,3.4"], "increase downwards"),
        ("depth,vp,vs", ["0,5000,3000"], "layer 1: vp_km_s: looks like m/s"),
        ("depth,vp,vs", ["0,5,3", "500,6,3.4"], "looks like m. Expected km"),
        ("depth,vp,vs", ["0,1.8,0.6", "20,2,0.9", "60,2.5,1.2"], "looks like m. Expected km"),
        ("depth,vp,vs", ["-1900,5,3"], "looks like m. Expected km"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(tmp_path: Path, header: str, rows: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_layers(write(tmp_path, header, rows))


def test_a_missing_or_empty_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.csv: cannot be read"):
        read_layers(tmp_path / "none.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError, match=r"empty\.csv: found no layer"):
        read_layers(tmp_path / "empty.csv")


def test_a_deep_model_in_km_is_no_model_in_m(tmp_path: Path) -> None:
    rows = ["0,5.8,3.4", "20,6.5,3.8", "35,8.0,4.5", "120,8.1,4.5", "210,8.3,4.5", "410,9.1,4.9"]
    assert len(read_layers(write(tmp_path, rows=rows))) == 6


def test_settings_take_the_file(tmp_path: Path) -> None:
    assert AssociationConfig(layers=write(tmp_path)).layers == EXPECTED
    assert AssociationConfig(layers=str(write(tmp_path))) == AssociationConfig(layers=EXPECTED)


def test_velocities_in_m_s_are_refused() -> None:
    with pytest.raises(ConfigError, match="vp_km_s: looks like m/s"):
        AssociationConfig(vp_km_s=5800.0)
    with pytest.raises(ConfigError, match="vs_km_s: looks like m/s"):
        AssociationConfig().with_velocity(vs_km_s=3100.0)


def test_two_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="found vp_km_s beside layers"):
        AssociationConfig(layers=EXPECTED, vp_km_s=5.5)
    with pytest.raises(ConfigError, match="found vp_km_s, vs_km_s beside layers"):
        AssociationConfig().with_velocity(vp_km_s=5.5, vs_km_s=3.0, layers=EXPECTED)


def test_a_flag_replaces_a_model_of_the_other_kind() -> None:
    base = AssociationConfig(vp_km_s=5.5, vs_km_s=3.0, max_distance_km=20.0)
    layered = base.with_velocity(layers=EXPECTED)
    assert layered == AssociationConfig(layers=EXPECTED, max_distance_km=20.0)
    assert layered.with_velocity(vp_km_s=5.5, vs_km_s=3.0) == base
    assert base.with_velocity(vp_km_s=5.8) == AssociationConfig(
        vp_km_s=5.8, vs_km_s=3.0, max_distance_km=20.0
    )
    assert base.with_velocity() == base
