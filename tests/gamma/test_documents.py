"""The pages on settings and on classes tell them as they are."""

from __future__ import annotations

from pathlib import Path

from gamma import QUALITY_RULES, AssociationConfig

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


def test_the_rule_of_every_class_stands_in_the_page():
    rows = [line for line in (DOCS / "catalog_trust.md").read_text().splitlines() if line.startswith("| ")]
    for name, rule in QUALITY_RULES.items():
        assert f"| {name} | {rule} |" in rows
