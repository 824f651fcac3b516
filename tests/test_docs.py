"""The documentation: every block of code runs or says why not, the site builds without a broken link."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest
import yaml

import phasenet_das as pn
from tests.documented_code import NOT_RUN, PAGES, ROOT, Block, blocks, project_folder, run_page
from tests.documented_code import check_without_running as check
from tests.pipeline.test_dry_runs import pretend_files

WITH_CODE = [page for page in PAGES if blocks(page)]
SMALL_TRAINING = {
    "steps": 2,
    "batch_size": 1,
    "warmup_steps": 1,
    "validate_every": 2,
    "validation_samples": 1,
    "save_every": 2,
    "num_workers": 0,
}
SMALL_SIMULATION = {"duration_s": 20.0, "cable": {"num_channels": 24, "dx_m": 20.0}}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory) -> Path:
    """What the pages take for granted: a recording, channels, picks, a catalog and a reference."""
    from phasenet_das.catalog import write_association, write_catalog
    from phasenet_das.simulate import scenario, simulate

    folder = tmp_path_factory.mktemp("docs")
    settings = next(block for block in blocks(ROOT / "docs" / "first_hour.md") if block.language == "yaml")
    small = yaml.safe_load(settings.text)["simulate"]["settings"] | {"duration_s": 60.0}
    simulate(scenario("easy", **small), folder / "made", seed=5)
    (folder / "made" / "data").rename(folder / "recordings")
    wave = np.random.default_rng(0).standard_normal(1250) * np.repeat([1, 20, 80], [400, 350, 500])
    np.repeat(wave, 800).astype("<f4").tofile(folder / "M2p46")  # the download of docs/safod.md
    shutil.copytree(folder / "recordings", folder / "incoming")
    source = min((folder / "recordings").glob("*.h5"))
    patch = pn.read(source, station_id="CABLE")
    pn.io.write_quakeflow(patch, folder / "recording.h5")
    channels = pn.read_channels(folder / "made" / "channels.csv").assign(station_id="CABLE")
    pn.write_table(channels, folder / "channels.csv")
    picks = pn.load_picker("phasenet-das").pick(patch, min_score=0.3)
    result = pn.associate(picks, channels)
    write_association(result, folder / "catalog", {"amplitude_unit": picks.attrs["amplitude_unit"]})
    write_catalog(result.events, result.picks, folder / "catalog", channels)
    pn.write_table(result.picks, folder / "picks.parquet")
    truth = pn.read_picks(folder / "made" / "truth_picks.parquet").assign(station_id="CABLE")
    pn.write_table(truth, folder / "truth_picks.parquet")
    reference = pn.read_events(folder / "catalog" / "events.parquet").assign(magnitude=2.0)
    pn.write_table(reference, folder / "reference.csv")
    assert len(reference) >= 1
    shutil.rmtree(folder / "made")
    return folder


@pytest.fixture
def here(recorded, tmp_path, monkeypatch) -> Path:
    """A reader's folder: the recordings in a checkout whose trainings and simulations are small."""
    folder = tmp_path / "here"
    shutil.copytree(recorded, folder)
    project_folder(folder)
    shrink_training(folder)
    pretend_files(ROOT / "configs" / "brady.yaml", folder)
    shutil.copytree(
        ROOT / "phasenet_das" / "models" / "bundled" / "phasenet-das", folder / "path" / "to" / "model"
    )
    monkeypatch.setattr("phasenet_das.simulate.scenario", small_scenario)
    from phasenet_das import training

    quick = functools.partial(training.overfit_one_batch, steps=2)
    monkeypatch.setattr(training, "overfit_one_batch", quick)
    monkeypatch.chdir(folder)
    mpl.use("Agg")
    return folder


def small_scenario(name: str, **changes: object) -> object:
    """Let small recordings be, and cut down what would take minutes."""
    from phasenet_das.simulate.scenarios import scenario

    wanted = scenario(name, **changes)
    is_small = wanted.duration_s * wanted.cable.num_channels <= 120 * 120
    return wanted if is_small else scenario(name, **SMALL_SIMULATION)


def shrink_training(folder: Path) -> None:
    """Make the example of the training page two steps on records made here."""
    with h5py.File(folder / "records.h5", "w") as file:
        noise = np.random.default_rng(0).standard_normal((4, 3, 6000))
        file.create_dataset("data", data=noise).attrs["dt_s"] = 0.01
        file["itp"], file["its"] = np.full(4, 1500), np.full(4, 2000)
    path = folder / "configs" / "train_example.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["student"] |= SMALL_TRAINING
    settings["student"]["data"] |= {
        "records": str(folder / "records.h5"),
        "sections_per_epoch": 4,
        "num_channels": 16,
        "num_samples": 512,
    }
    path.write_text(yaml.safe_dump(settings))


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_every_block_runs_or_says_why_not(page):
    code = [block for block in blocks(page) if block.language != "text"]
    assert sum(run_page(page)) == len(code)


def test_how_many_blocks_run(capsys):
    code = [block for page in PAGES for block in blocks(page) if block.language != "text"]
    marked = [block for block in code if block.why_not_run]
    with capsys.disabled():
        sys.stdout.write(f"\n{len(code)} blocks of documentation: {len(code) - len(marked)} run, ")
        sys.stdout.write(f"{len(marked)} are parsed only:\n")
        sys.stdout.writelines(f"  {block}: {block.why_not_run}\n" for block in marked)
    assert len(code) - len(marked) > 2 * len(marked)


@pytest.mark.parametrize(
    ("language", "info", "text", "found"),
    [
        ("console", "", "phasenet-das info x.h5\n", "expected python, bash, yaml or text"),
        ("", "", "x = 1\n", "expected python, bash, yaml or text"),
        (
            "bash",
            'title="not run in the tests: y"',
            "phasenet-das pick x.h5 --no-such\n",
            "see the message",
        ),
        ("bash", 'title="not run in the tests: y"', "make nothing\n", "no such target"),
        ("bash", 'title="not run in the tests: y"', "pip install '.[nothing]'\n", "no such extra"),
        ("bash", 'title="not run in the tests: y"', "frobnicate\n", "not known here"),
        ("bash", 'title="not run in the tests: y"', "python benchmarks/run.py --no-such\n", "no option"),
        (
            "python",
            'title="not run in the tests: y"',
            "from phasenet_das.io import nothing\n",
            "import nothing",
        ),
        ("bash", "", "make demo\n", "does not run here"),
    ],
)
def test_what_is_wrong_in_a_block_is_found(language, info, text, found):
    from tests.documented_code import run_block

    block = Block(ROOT / "README.md", 1, language, info, text)
    with pytest.raises(AssertionError, match=re.escape(found)):
        check(block) if NOT_RUN.search(info) else run_block(block, {})


def test_an_open_fence_is_found(tmp_path):
    (tmp_path / "page.md").write_text("```python\nx = 1\n")
    with pytest.raises(AssertionError, match="1 fences, but 0 blocks"):
        blocks(tmp_path / "page.md")


def test_the_page_of_the_commands_is_up_to_date():
    from make_commands import PAGE, commands_page

    assert PAGE.read_text() == commands_page(), "run: make generated"


def test_a_tutorial_shows_the_output_of_its_steps(tmp_path, monkeypatch):
    import make_tutorials

    monkeypatch.chdir(tmp_path)
    page = "```python\nprint(2)\n```\n\n```text\nold\n```\n\n```bash\necho 3\n```\n\n```text\n```\n"
    assert make_tutorials.run_page(page) == page.replace("old", "2").replace("text\n```", "text\n3\n```")


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
    assert (
        "not run in the tests: needs a dask cluster" in (tmp_path / "continuous" / "index.html").read_text()
    )
    for module in ("catalog", "plot", "gamma"):
        assert "Parameters" in (tmp_path / "api" / module / "index.html").read_text()
