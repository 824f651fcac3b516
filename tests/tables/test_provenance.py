"""Files record what made them, and equal runs record equal things."""

from __future__ import annotations

import json
from pathlib import Path

from phasenet_das.config import PickSettings
from phasenet_das.tables.provenance import file_hash, join_provenance, provenance


def test_equal_inputs_give_equal_records(tmp_path: Path) -> None:
    first, second = tmp_path / "a.h5", tmp_path / "b.h5"
    first.write_bytes(b"1" * 3_000_000)
    second.write_bytes(b"2")
    record = provenance(settings=PickSettings(), inputs=[second, first], weights_id="x@1")
    assert record == provenance(settings=PickSettings(), inputs=[first, second], weights_id="x@1")
    assert json.loads(json.dumps(record)) == record
    assert set(record["inputs"]) == {str(first), str(second)}
    assert record["weights_id"] == "x@1"
    assert record["settings"]["min_score"] == 0.3
    other = provenance(settings=PickSettings(min_score=0.4), inputs=[first, second])
    assert other["config_hash"] != record["config_hash"]


def test_the_hash_sees_length_head_and_tail(tmp_path: Path) -> None:
    path = tmp_path / "a"
    content = bytearray(3_000_000)
    hashes = set()
    for change in (None, 0, len(content) - 1):
        if change is not None:
            content[change] ^= 1
        path.write_bytes(content)
        hashes.add(file_hash(path))
    path.write_bytes(content + b"0")
    hashes.add(file_hash(path))
    assert len(hashes) == 4


def test_what_is_no_file_is_not_hashed() -> None:
    assert provenance(inputs=["daspy:example"])["inputs"] == {}


def test_tables_of_several_units_are_of_none() -> None:
    def unit(*units: str | None) -> str | None:
        files = {f"{k}": {"inputs": {"a": "1"}, "amplitude_unit": one} for k, one in enumerate(units)}
        return join_provenance(files)["amplitude_unit"]

    assert unit("strain / s", "strain") == "mixed: strain, strain / s"
    assert unit("unknown", None, "strain / s") == "strain / s"
    assert unit("unknown", None) == "unknown"
    assert unit(None) is None


def test_tables_of_several_weights_name_them_all() -> None:
    files = {
        f"{k}": {"inputs": {"a": "1"}, "weights_id": one} for k, one in enumerate(["b@2", None, "a@1", "b@2"])
    }
    assert join_provenance(files)["weights_id"] == "mixed: a@1, b@2"
    assert join_provenance({"0": {"inputs": {"a": "1"}, "weights_id": "b@2"}})["weights_id"] == "b@2"
