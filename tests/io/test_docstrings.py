"""Every function with a public name says what it does, whatever it is nested in."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import phasenet_das

PACKAGE = Path(phasenet_das.__file__).parent
MODULES = sorted(
    path.relative_to(PACKAGE) for name in ("io", "pipeline") for path in (PACKAGE / name).glob("*.py")
)


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_public_names_are_documented(module: Path) -> None:
    tree = ast.parse((PACKAGE / module).read_text())
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    bare = [node.name for node in functions if not node.name.startswith("_") and not ast.get_docstring(node)]
    assert not bare
