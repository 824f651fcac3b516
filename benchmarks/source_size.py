"""Count the lines, modules, classes, functions and public names of both packages.

    python benchmarks/source_size.py [FOLDER]

FOLDER is a checkout, this one by default.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np

PACKAGES = ("phasenet_das", "gamma")


def public_names(tree: ast.Module) -> int:
    """Count the names in ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return len(ast.literal_eval(node.value))
    return 0


def body_lines(node: ast.FunctionDef) -> int:
    """Count the lines of a function without its signature and docstring."""
    body = node.body[1:] if ast.get_docstring(node) else node.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def print_sizes(name: str, modules: list[tuple[ast.Module, int]]) -> None:
    """Print a row of sizes."""
    nodes = [node for tree, _ in modules for node in ast.walk(tree)]
    lengths = [body_lines(node) for node in nodes if isinstance(node, ast.FunctionDef)]
    classes = sum(isinstance(node, ast.ClassDef) for node in nodes)
    print(
        f"{name:<14}{sum(count for _, count in modules):>8}{len(modules):>9}{classes:>9}"
        f"{sum(public_names(tree) for tree, _ in modules):>8}{len(lengths):>11}"
        f"{np.median(lengths):>8.0f}{np.percentile(lengths, 90):>6.0f}"
    )


def main() -> None:
    """Print a row for each package, and one for both."""
    root = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
    print(
        f"{'':<14}{'lines':>8}{'modules':>9}{'classes':>9}{'public':>8}{'functions':>11}{'median':>8}{'p90':>6}"
    )
    both: list[tuple[ast.Module, int]] = []
    for package in PACKAGES:
        texts = [path.read_text() for path in sorted((root / package).rglob("*.py"))]
        modules = [(ast.parse(text), text.count("\n")) for text in texts]
        print_sizes(package, modules)
        both += modules
    print_sizes("both", both)


if __name__ == "__main__":
    main()
