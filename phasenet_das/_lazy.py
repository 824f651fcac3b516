"""Import the modules of a package when one of their names is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package whose names live in the modules `homes` (name to module).

    A module that begins with a dot is one of the package. A name that is its own module is that module.
    """

    def get(name: str) -> Any:  # noqa: ANN401 - any public object
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        module = importlib.import_module(homes[name], package)
        return module if homes[name] == f".{name}" else getattr(module, name)

    return get
