"""The settings page tells the settings as they are."""

from __future__ import annotations

from pathlib import Path

from gamma import AssociationConfig

DOCS = Path(__file__).parents[2] / "docs"


def test_every_setting_stands_in_the_page_with_its_default():
    rows = {
        line.split("|")[1].strip(" `"): line
        for line in (DOCS / "gamma_settings.md").read_text().split("## All settings")[1].splitlines()
        if line.startswith("| `")
    }
    assert set(rows) == set(AssociationConfig.model_fields)
    for name, field in AssociationConfig.model_fields.items():
        default = "derived / not used" if field.default is None else str(field.default)
        assert f"| {default} |" in rows[name], name
        assert field.description in rows[name], name
