"""What MkDocs fills in while it builds: settings, model cards, and links to files of the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from phasenet_das.config import Config
from phasenet_das.config.generate import settings_tables

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
