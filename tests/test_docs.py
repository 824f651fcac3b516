"""The documentation: every block of code runs, the site builds without a broken link."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import pytest
import yaml
from typer.testing import CliRunner

import phasenet_das as pn
from phasenet_das.cli import app

ROOT = Path(__file__).parents[1]
# Pages whose blocks run here; "contribute.md" says so to the reader.
PAGES = ("install", "first_hour", "pick_a_file", "exports", "model_cards", "api/index")
BLOCK = re.compile(r"(?m)^```(\w+)([^\n]*)\n(.*?)^```", re.DOTALL)


def blocks(path: Path) -> list[tuple[str, str, str]]:
    """Language, rest of the first line, and text of each block of a page."""
    return BLOCK.findall(path.read_text())


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """What the pages take for granted: a recording, channels, picks, a catalog and a reference."""
    from phasenet_das.catalog import write_association, write_catalog
    from phasenet_das.simulate import scenario, simulate

    folder = tmp_path_factory.mktemp("docs")
    first_hour = (ROOT / "docs" / "first_hour.md").read_text()
    (folder / "short.yaml").write_text(re.search(r"```yaml\n(.*?)```", first_hour, re.DOTALL).group(1))
    changes = yaml.safe_load((folder / "short.yaml").read_text()) | {"duration_s": 60.0}
    simulate(scenario("easy", **changes), folder / "made", seed=5)
    (folder / "made" / "data").rename(folder / "recordings")
    source = min((folder / "recordings").glob("*.h5"))
    patch = pn.read(source, station_id="CABLE")
    pn.io.write_quakeflow(patch, folder / "recording.h5")
    channels = pn.read_channels(folder / "made" / "channels.csv").assign(station_id="CABLE")
    pn.write_table(channels, folder / "channels.csv")
    picks = pn.load_picker("phasenet-das").pick(patch, min_score=0.3)
    result = pn.associate_picks(picks, channels)
    write_association(result, folder / "catalog", {})
    write_catalog(result.events, result.picks, folder / "catalog", channels)
    pn.write_table(result.picks, folder / "picks.parquet")
    reference = pn.read_events(folder / "catalog" / "events.parquet").assign(magnitude=2.0)
    pn.write_table(reference, folder / "reference.csv")
    assert len(reference) >= 1
    shutil.rmtree(folder / "made")
    return folder


def run_page(path: Path) -> int:
    """Run the blocks of a page in order, as one reader would; return how many ran."""
    names: dict[str, object] = {}
    count = 0
    for language, _, text in blocks(path):
        if language == "python":
            exec(compile(text, str(path), "exec"), names)  # noqa: S102 - our own pages
        elif language == "bash":
            for line in filter(None, text.replace("\\\n", " ").splitlines()):
                words = shlex.split(line, comments=True)
                assert words[0] == "phasenet-das", f"{path}: a bash block with '{words[0]}': make it console"
                answer = CliRunner().invoke(app, words[1:])
                assert answer.exit_code == 0, f"{line}: {answer.output} {answer.exception!r}"
        else:
            continue
        count += 1
    return count


@pytest.mark.parametrize("page", [*PAGES, "../README"])
def test_every_block_runs(page, recorded, tmp_path, monkeypatch):
    shutil.copytree(recorded, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    mpl.use("Agg")
    assert run_page(ROOT / "docs" / f"{page}.md") > 0


@pytest.mark.parametrize("page", [*PAGES, "notebooks", "contribute", "symptoms", "settings", "comparison"])
def test_a_block_that_does_not_run_says_why(page):
    for language, rest, _ in blocks(ROOT / "docs" / f"{page}.md"):
        assert language in {"python", "bash", "console", "yaml"}
        if language == "console":
            assert 'title="not run in the tests: ' in rest


def test_contribute_names_the_pages_that_run():
    text = (ROOT / "docs" / "contribute.md").read_text()
    named = re.search(r"\{(.*?)\}", text, re.DOTALL).group(1)
    assert [" ".join(one.split()).replace(" ", "_") for one in named.split(",")] == list(PAGES[:-1])


def test_the_site_builds_without_a_broken_link(tmp_path):
    pytest.importorskip("mkdocs")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path)]
    answer = subprocess.run(  # noqa: S603 - our own command
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    settings = (tmp_path / "settings" / "index.html").read_text()
    assert "min_score_p" in settings
    assert " parameters. Input: " in (tmp_path / "model_cards" / "index.html").read_text()
    for module in ("catalog", "plot", "gamma"):
        assert "Parameters" in (tmp_path / "api" / module / "index.html").read_text()
