"""What MkDocs fills in while it builds: settings, model cards, and links to files of the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from phasenet_das.config import Config

ROOT = Path(__file__).parents[1]
_OUTSIDE = re.compile(r"\[([^\]]+)\]\(\.\./(?!docs/)[^)]*\)")


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - whatever MkDocs passes
    """Fill the marks of a page, and turn links to files of the repository into their names.

    Parameters
    ----------
    markdown : str
        A page.

    Returns
    -------
    str
        The page as it is rendered.
    """
    markdown = _OUTSIDE.sub(r"`\1`", markdown)
    if "<!-- settings -->" in markdown:
        markdown = markdown.replace("<!-- settings -->", settings_tables(Config))
    if "<!-- model cards -->" in markdown:
        markdown = markdown.replace("<!-- model cards -->", model_cards())
    return markdown


def settings_tables(model: type[BaseModel], name: str = "") -> str:
    """Write a table for each section of the settings.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        The settings.
    name : str, optional
        Path of the section.

    Returns
    -------
    str
        Markdown: setting, default, unit, meaning.
    """
    rows, sections = [], []
    for key, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            sections.append(settings_tables(kind, f"{name}.{key}" if name else key))
            continue
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        default = info.get_default(call_default_factory=True)
        shown = "" if default is None else f"`{default!r}`".replace("|", "\\|")
        meaning = re.sub(r"([|\[\]])", r"\\\1", info.description or "")
        rows.append(f"| `{key}` | {shown} | {extra.get('unit', '')} | {meaning} |")
    head = [f"## `{name}`" if name else "## At the top", (model.__doc__ or "").strip().splitlines()[0], ""]
    table = ["| setting | default | unit | meaning |", "|---|---|---|---|", *rows, ""] if rows else []
    return "\n".join([*head, *table, *sections])


def model_cards() -> str:
    """Put the model cards of the bundled weights one below the other.

    Returns
    -------
    str
        Markdown, without the YAML heads.
    """
    cards = []
    for path in sorted((ROOT / "phasenet_das" / "models" / "bundled").glob("*/README.md")):
        body = path.read_text().split("---", 2)[-1]
        cards.append(re.sub(r"(?m)^#", "##", body))
    return "\n".join(cards)
