"""Run the tutorials, and put their output and figures into their pages: `python docs/make_tutorials.py`.

Blocks that need a download or an installation do not run. Put the file M2p46 of docs/safod.md
into the folder of `--data`.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

DOCS = Path(__file__).parent
TUTORIALS = ("brady.md", "safod.md")
_STEP = re.compile(
    r"^```(?P<language>python|bash)(?P<info>[^\n]*)\n(?P<code>.*?)^```\n(?P<gap>\s*)"
    r"(?:```text\n(?P<output>.*?)^```$)?",
    re.DOTALL | re.MULTILINE,
)
_FIGURE = re.compile(r"\]\(images/([\w.]+)\)")


def run_page(content: str) -> str:
    """Run the steps of a page in the current folder, and return the page with their output."""
    names: dict[str, object] = {}

    def answer(step: re.Match[str]) -> str:
        if "not run" in step["info"]:
            return step[0]
        printed = run_python(step["code"], names) if step["language"] == "python" else run_bash(step["code"])
        head, _, _ = step[0].partition("```text\n")
        return step[0] if step["output"] is None else f"{head}```text\n{printed}```"

    return _STEP.sub(answer, content)


def run_python(code: str, names: dict[str, object]) -> str:
    """Return what code prints; its names stay for the next step."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(code, "tutorial", "exec"), names)  # noqa: S102 - our own pages
    return printed.getvalue()


def run_bash(code: str) -> str:
    """Return what commands print; the first that fails ends the run."""
    done = subprocess.run(  # noqa: S603 - our own pages
        ["/bin/bash", "-ec", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{code}\n{done.stdout}")
    return done.stdout


def main() -> None:
    """Write the pages and figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="*", default=TUTORIALS)
    parser.add_argument("--data", type=Path, help="folder with downloaded files")
    options = parser.parse_args()
    for name in options.pages:
        page = DOCS / name
        content = page.read_text()
        with tempfile.TemporaryDirectory() as folder:
            if options.data:
                shutil.copytree(options.data, folder, dirs_exist_ok=True)
            with contextlib.chdir(folder):
                page.write_text(run_page(content))
            for figure in _FIGURE.findall(content):
                shutil.copy(Path(folder) / figure, DOCS / "images" / figure)


if __name__ == "__main__":
    os.environ.setdefault("MPLBACKEND", "agg")
    main()
