"""Import the modules of a package when one of their names is first used."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Make the ``__getattr__`` of a package: `homes` lists, for each module, names with spaces between.

    A module that begins with a dot is one of the package. A name that is its own module is that module.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def get(name: str) -> Any:  # noqa: ANN401 - any public object
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = home_of[name]
        module = importlib.import_module(home, package)
        return module if home == f".{name}" else getattr(module, name)

    return get
