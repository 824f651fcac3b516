"""Count semicolons, "what", "you" and long sentences in the texts for users: `python benchmarks/prose.py`.

Counts are per 10,000 words, without code. `--long` prints the sentences to shorten.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import typer
from pydantic import BaseModel

import gamma.cli
import phasenet_das.cli
from gamma import AssociationConfig
from phasenet_das.config import Config
from phasenet_das.simulate.config import SimulationConfig

ROOT = Path(__file__).parents[1]
LONGEST = 25
COUNTED = ("semicolons", "what", "you", "long sentences")
_NOT_PROSE = re.compile(
    r"\A---\n.*?\n---\n|^ *```.*?^ *```$|<!--.*?-->|(?<=\n\n)(?: {4}[^\n]*(?:\n|\Z))+|^\|[-| :]+\|$",
    re.DOTALL | re.MULTILINE,
)
_LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE = re.compile(r"`+[^`\n]+`+")
_BREAK = re.compile(r"\n\s*\n|\n(?=\s*(?:[-*#|>]|\d+\.) ?)|(?<=\|)|(?<=[.!?])(?<!\bal\.)[*_)]*\s+")
_WORD = re.compile(r"[A-Za-z0-9][\w'.,/%°-]*")


def sentences(markdown: str) -> list[str]:
    """Return the sentences of a page: headings, list items and table cells end one."""
    text = _CODE.sub("code", _LINK.sub(r"\1", _NOT_PROSE.sub("\n\n", markdown)))
    found = (" ".join(part.split()).strip(" |#*-") for part in _BREAK.split(text))
    return [sentence for sentence in found if sentence]


def count(texts: Iterable[str]) -> Counter[str]:
    """Count words, sentences and the four habits of some texts."""
    total: Counter[str] = Counter()
    for sentence in (one for text in texts for one in sentences(text)):
        words = len(_WORD.findall(sentence))
        total["words"] += words
        total["sentences"] += 1
        total["semicolons"] += sentence.count(";")
        total["what"] += len(re.findall(r"\bwhat(?:ever)?\b", sentence, re.IGNORECASE))
        total["you"] += len(re.findall(r"\byou\b", sentence, re.IGNORECASE))
        total["long sentences"] += words > LONGEST
    return total


def per_10000(total: Counter[str]) -> dict[str, float]:
    """Return the four habits per 10,000 words."""
    return {name: 1e4 * total[name] / max(total["words"], 1) for name in COUNTED}


def texts() -> dict[str, dict[str, str]]:
    """Return all texts that a user reads: by part, then by name."""
    cards = sorted((ROOT / "phasenet_das" / "models" / "bundled").glob("*/README.md"))
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *cards]
    return {
        "README, docs": {str(path.relative_to(ROOT)): path.read_text() for path in pages},
        "notebooks": {path.name: _markdown(path) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))},
        "--help": {
            name: "\n\n".join(_help(typer.main.get_command(app)))
            for name, app in (("phasenet-das", phasenet_das.cli.app), ("gamma", gamma.cli.app))
        },
        "settings": {
            model.__name__: "\n\n".join(_descriptions(model))
            for model in (Config, AssociationConfig, SimulationConfig)
        },
    }


def _markdown(path: Path) -> str:
    cells = json.loads(path.read_text())["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


def _help(command: Any) -> Iterator[str]:  # noqa: ANN401 - of typer's own click
    yield from filter(None, (command.help, *(getattr(param, "help", None) for param in command.params)))
    for one in getattr(command, "commands", {}).values():
        yield from _help(one)


def _descriptions(model: type[BaseModel]) -> Iterator[str]:
    yield (model.__doc__ or "").strip().splitlines()[0]
    for info in model.model_fields.values():
        kind = info.annotation
        if not isinstance(kind, type) or not issubclass(kind, BaseModel):
            yield info.description or ""
        elif kind is not AssociationConfig:
            yield from _descriptions(kind)


def main() -> None:
    """Print the counts of each part, or the long sentences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", action="store_true", help="count each page")
    parser.add_argument(
        "--long", metavar="PAGE", help="print the long sentences of pages with this in their name"
    )
    options = parser.parse_args()
    parts = texts()
    if options.long is not None:
        for name, text in ((name, text) for part in parts.values() for name, text in part.items()):
            if options.long in name:
                for sentence in sentences(text):
                    if len(_WORD.findall(sentence)) > LONGEST or re.search(
                        r";|\bwhat", sentence, re.IGNORECASE
                    ):
                        print(f"{name}: {sentence}")
        return
    rows = {name: count(part.values()) for name, part in parts.items()}
    if options.pages:
        rows = {name: count([text]) for part in parts.values() for name, text in part.items()} | rows
    rows["all"] = count(text for part in parts.values() for text in part.values())
    print(f"| {'text':40} | words | {' | '.join(COUNTED)} |\n|---|{'---|' * (len(COUNTED) + 1)}")
    for name, total in rows.items():
        cells = (f"{value:{len(habit)}.0f}" for habit, value in per_10000(total).items())
        print(f"| {name:40} | {total['words']:5} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
