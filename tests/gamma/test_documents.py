"""The page on classes states their rules."""

from __future__ import annotations

from pathlib import Path

from gamma import QUALITY_RULES

DOCS = Path(__file__).parents[2] / "docs"


def test_the_rule_of_every_class_stands_in_the_page():
    rows = [line for line in (DOCS / "catalog_trust.md").read_text().splitlines() if line.startswith("| ")]
    for name, rule in QUALITY_RULES.items():
        assert f"| {name} | {rule} |" in rows
