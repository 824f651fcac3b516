"""Notebooks are kept without outputs, and run: one of them in a kernel, the others in this process."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
IN_A_KERNEL = "02_inspect_picks"  # it has widgets
NAMES = sorted(path.stem for path in FOLDER.glob("*.ipynb"))


def cells_of(name: str) -> list[dict[str, Any]]:
    cells: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.ipynb").read_text())["cells"]
    return cells


@pytest.mark.parametrize("name", NAMES)
def test_outputs_are_stripped_and_prose_leads(name: str) -> None:
    cells = cells_of(name)
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)
    assert cells[0]["cell_type"] == "markdown"
    assert "".join(cells[0]["source"]).startswith(f"# {name[:2]} · ")


@pytest.mark.parametrize("name", [name for name in NAMES if name != IN_A_KERNEL])
def test_cells_run_and_figures_are_drawn(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mpl.use("Agg")
    names: dict[str, Any] = {}
    for number, cell in enumerate(cells_of(name)):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{name}, cell {number}", "exec"), names)  # noqa: S102
            for figure in plt.get_fignums():
                plt.figure(figure).canvas.draw()
            plt.close("all")


def test_widgets_run_in_a_kernel() -> None:
    import nbclient
    import nbformat

    notebook = nbformat.read(FOLDER / f"{IN_A_KERNEL}.ipynb", as_version=4)
    place = {"metadata": {"path": str(FOLDER)}}
    nbclient.NotebookClient(notebook, timeout=570, kernel_name="python3", resources=place).execute()
    assert all(cell["execution_count"] for cell in notebook.cells if cell["cell_type"] == "code")


def test_there_are_five() -> None:
    assert [name[:2] for name in NAMES] == ["01", "02", "03", "04", "05"]
