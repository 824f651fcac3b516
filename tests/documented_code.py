"""Code of the documentation: found, run, or at least parsed.

``python`` and ``bash`` blocks run, and ``yaml`` blocks are read by what reads such a file, unless their first
line says ``title="not run in the tests: WHY"``, which the site shows above the block. Then what a Python
block imports of ours, and every command, option, file and extra of a shell line, must exist. ``text`` is for
diagrams, and for files of data that a title names. There is nothing else.
"""

from __future__ import annotations

import ast
import importlib
import itertools
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from tests.pipeline.snakemake import run_snakemake

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NOT_RUN = re.compile(r'title="not run in the tests: (?P<why>[^"]+)"')
_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE
)
_OF_CONDA_AND_SHELL = {"conda", "cp", "curl", "echo", "head", "mkdir", "mv", "source"}
_OF_SYSTEMD = {"journalctl", "systemctl", "useradd"}
_PROGRAMS_OF_OTHERS = {"hf", "jupyter", "mkdocs"} | _OF_CONDA_AND_SHELL | _OF_SYSTEMD


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    language: str
    info: str
    text: str

    @property
    def why_not_run(self) -> str | None:
        found = NOT_RUN.search(self.info)
        return found["why"] if found else None

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page; a fence that is not understood is an error."""
    content, found = page.read_text(), []
    for match in _FENCE.finditer(content):
        language, _, info = match["info"].strip().partition(" ")
        line = content.count("\n", 0, match.start()) + 1
        found.append(Block(page, line, language, info, match["text"]))
    fences = re.findall(r"(?m)^\s*(?:```|~~~)", content)
    assert len(fences) == 2 * len(found), f"{page}: {len(fences)} fences, but {len(found)} blocks"
    return found


def run_page(page: Path) -> tuple[int, int]:
    """Run the blocks of a page in order, as one reader would; return how many ran and were parsed."""
    names: dict[str, object] = {}
    ran = parsed = 0
    for block in blocks(page):
        if block.language == "text":
            first = [line.split()[0] for line in block.text.splitlines() if line.strip()]
            assert not {"phasenet-das", "python", "snakemake", "import", "gamma"} & set(first), (
                f"{block}: code"
            )
            if named := re.search(r'title="(?P<file>[^"]+)"', block.info):
                Path(named["file"]).write_text(block.text)
        elif block.why_not_run:
            check_without_running(block)
            parsed += 1
        else:
            run_block(block, names)
            ran += 1
    return ran, parsed


def run_block(block: Block, names: dict[str, object]) -> None:
    """Run a block; Python shares its names with the page."""
    if block.language == "python":
        exec(compile(block.text, str(block), "exec"), names)  # noqa: S102 - our own pages
    elif block.language == "bash":
        for words in commands(block.text):
            run_command(words, block)
    elif block.language == "yaml":
        read_settings(block)
    else:
        raise AssertionError(
            f"{block}: '{block.language}': expected python, bash, yaml or text, or {NOT_RUN.pattern}"
        )


def commands(text: str) -> Iterator[list[str]]:
    """Commands of a shell block, without comments; a pipe or && parts two of them."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        start = 0
        for place, word in enumerate([*words, "&&"]):
            if word in {"&&", "|", ";"}:
                if words[start:place]:
                    yield words[start:place]
                start = place + 1


def run_command(words: list[str], block: Block) -> None:
    """Run a line of a shell block: Snakemake as a dry run, and one pass of what never ends."""
    if words[:2] == ["phasenet-das", "run"]:
        dry_run(arguments_of(words), block)
    elif words[0] in {"phasenet-das", "gamma"}:
        extra = ["--once"] if words[1] == "watch" and "--once" not in words else []
        answer = CliRunner().invoke(_application(words[0]), [*words[1:], *extra])
        assert answer.exit_code == 0, f"{block}: {' '.join(words)}: {answer.output} {answer.exception!r}"
    elif words[0] == "snakemake":
        dry_run(words[1:], block)
    else:
        raise AssertionError(f"{block}: '{words[0]}' does not run here: say why in a title {NOT_RUN.pattern}")


def arguments_of(words: list[str]) -> list[str]:
    """Give the arguments of the Snakemake that `phasenet-das run` becomes."""
    commands: list[list[str]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("phasenet_das.pipeline.launch.replace_process", commands.append)
        CliRunner().invoke(_application(words[0]), words[1:], catch_exceptions=False)
    return commands[0][commands[0].index("snakemake") + 1 :]


def dry_run(arguments: list[str], block: Block) -> None:
    """Run Snakemake in this folder, for the list of jobs only."""
    only = [] if "--dry-run" in arguments else ["--dry-run"]
    answer = run_snakemake([*arguments, *only, "--quiet"], Path.cwd())
    assert answer.returncode == 0, f"{block}: {' '.join(arguments)}: {answer.stdout} {answer.stderr}"


def read_settings(block: Block) -> None:
    """Read a YAML block with what reads such a file; one that names its file is put there."""
    from gamma.config import AssociationConfig
    from phasenet_das.config import Config, load_config
    from phasenet_das.simulate import scenario
    from phasenet_das.simulate.config import SimulationConfig

    path = Path(
        named["file"] if (named := re.search(r'title="(?P<file>[^"]+)"', block.info)) else "block.yaml"
    )
    path.write_text(block.text)
    content = yaml.safe_load(block.text)
    if set(content) <= set(Config.model_fields):
        load_config(path)
    elif set(content) <= set(SimulationConfig.model_fields):
        scenario("demo", **content)
    else:
        AssociationConfig(**content)


def check_without_running(block: Block) -> None:
    """Find everything that a block names: modules, commands, options, files, extras, targets."""
    if block.language == "python":
        _check_imports(block)
        return
    assert block.language == "bash", f"{block}: '{block.language}' cannot be marked as not run"
    for words in commands(block.text):
        _check_command(words, block)


def _check_imports(block: Block) -> None:
    for node in ast.walk(ast.parse(block.text, str(block))):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module
            and node.module.split(".")[0] in {"phasenet_das", "gamma"}
        ):
            module = importlib.import_module(node.module)
            assert all(hasattr(module, one.name) for one in node.names), f"{block}: {ast.unparse(node)}"


def _check_command(words: list[str], block: Block) -> None:
    program, rest = words[0], words[1:]
    if program in {"phasenet-das", "gamma"}:
        _parse(_parser(program), rest, block)
    elif program == "snakemake":
        from snakemake.cli import get_argument_parser

        get_argument_parser().parse_args(rest)
    elif program == "make":
        targets = re.findall(r"(?m)^(\w+):", (ROOT / "Makefile").read_text())
        assert set(rest) <= set(targets), f"{block}: no such target: {rest}"
    elif program in {"pip", "conda"}:
        _check_installed(rest, block)
    elif program.startswith("python"):
        _check_script(rest, block)
    elif program == "torchrun":
        from torch.distributed.run import get_args_parser

        parsed = get_args_parser().parse_args(rest)
        _check_script(["-m", parsed.training_script, *parsed.training_script_args], block)
    elif program == "srun":
        _check_script(rest[next(i for i, word in enumerate(rest) if word.startswith("python")) + 1 :], block)
    else:
        assert program in _PROGRAMS_OF_OTHERS, f"{block}: '{program}' is not known here"


def _check_installed(words: list[str], block: Block) -> None:
    """Extras of this package, and files that are handed to the installer."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for flag, value in itertools.pairwise(words):
        if flag in {"-f", "--file", "--constraint", "-c", "-r"}:
            assert (ROOT / value).exists(), f"{block}: no file {value}"
    for named in re.findall(r"(?:^|\s)(?:\.|phasenet-das)\[([\w,]+)\]", " ".join(words)):
        assert set(named.split(",")) <= set(extras), f"{block}: no such extra: {named}"


def _check_script(words: list[str], block: Block) -> None:
    """A script or module of ours has every option that it is given."""
    if words[:2] == ["-m", "venv"]:
        return
    path = ROOT / words[1].replace(".", "/") / "__main__.py" if words[0] == "-m" else ROOT / words[0]
    assert path.exists(), f"{block}: no {path.relative_to(ROOT)}"
    source = path.read_text()
    for option in (word for word in words if word.startswith("-") and word not in {"-m", "..."}):
        assert f'"{option}"' in source, f"{block}: {path.name} has no option {option}"


def _parse(command: Any, words: list[str], block: Block) -> None:
    """Parse as the program would, and do nothing: commands of the copy of the program are emptied."""
    code: Any = 0
    try:
        command.main(args=list(words), prog_name="program")
    except SystemExit as stop:
        code = stop.code
    assert not code, f"{block}: {' '.join(words)}: see the message on stderr"


@cache
def _parser(name: str) -> Any:
    """Build the commands of a program, with nothing in them."""
    return _emptied(typer.main.get_command(_application(name)))


def _emptied(command: Any) -> Any:
    command.callback = lambda **_: None
    for one in getattr(command, "commands", {}).values():
        _emptied(one)
    return command


def _application(name: str) -> typer.Typer:
    return importlib.import_module({"phasenet-das": "phasenet_das.cli", "gamma": "gamma.cli"}[name]).app


def project_folder(folder: Path) -> None:
    """Put what a checkout holds for Snakemake beside the recordings of a reader."""
    for name in ("Snakefile", "workflow", "profiles", "phasenet_das", "gamma"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "configs", folder / "configs")
