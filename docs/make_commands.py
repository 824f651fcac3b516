"""Write docs/commands.md, the reference of the command line, from --help: `make generated`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

import gamma.cli
import phasenet_das.cli

PAGE = Path(__file__).parent / "commands.md"
HEAD = """# Command line

These texts are the output of `--help`. `make generated` writes this page. Units are part of the names:
`--max-lag-s` is in seconds. `phasenet-das -v COMMAND` prints progress messages.
"""


def commands_page() -> str:
    """Return the page: each command with its help."""
    parts = [HEAD]
    for app in (phasenet_das.cli.app, gamma.cli.app):
        command = typer.main.get_command(app)
        for words in _visible(command, command.name or "phasenet-das"):
            program, *arguments = words.split()
            answer = CliRunner().invoke(
                app, [*arguments, "--help"], prog_name=program, terminal_width=90, color=False
            )
            parts.append(f"## {words}\n\n```text\n{answer.stdout.strip()}\n```\n")
    return "\n".join(parts)


def _visible(command: Any, name: str) -> Iterator[str]:  # noqa: ANN401 - of typer's own click
    """Yield the commands, and those of groups, without the hidden ones."""
    if not hasattr(command, "commands"):
        yield name
    for word, one in getattr(command, "commands", {}).items():
        if not one.hidden:
            yield from _visible(one, f"{name} {word}")


if __name__ == "__main__":
    PAGE.write_text(commands_page())
