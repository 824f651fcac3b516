"""Fields of fixed width: values that fit are written, those that do not are counted and named."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

log = logging.getLogger(__name__)


@dataclass
class Misfits:
    """Values that the columns of a format cannot hold: how many of each name, and the first of them."""

    counts: dict[str, int] = field(default_factory=dict)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: float, written: str) -> None:
        """Count a value that is written as something else."""
        self.counts[name] = self.counts.get(name, 0) + 1
        self.examples.setdefault(name, f"{value:g} became {written or 'blank'}")

    def lines(self) -> Iterable[str]:
        """Say what did not fit, a line for each name."""
        for name, count in sorted(self.counts.items()):
            yield f"{count} value(s) of {name} do not fit the format: {self.examples[name]}"

    def report(self, path: object) -> None:
        """Warn of what did not fit."""
        for line in self.lines():
            log.warning("%s: %s", path, line)


class Line:
    """A line of fixed columns, counted from 1 as in the manuals."""

    def __init__(self, length: int, misfits: Misfits) -> None:
        self._cells, self._misfits = [" "] * length, misfits

    def text(self, column: int, width: int, value: str, name: str = "text") -> None:
        """Write text from the left."""
        if len(value) > width:
            self._misfits.counts[name] = self._misfits.counts.get(name, 0) + 1
            self._misfits.examples.setdefault(name, f"{value!r} became {value[:width]!r}")
        self._cells[column - 1 : column - 1 + width] = list(f"{value:<{width}}"[:width])

    def number(
        self, column: int, width: int, value: float, name: str, decimals: int = 0, *, blank: bool = False
    ) -> bool:
        """Write a number with its point implied, and say whether: the unknown stays blank.

        Of a value that does not fit, the nearest that does is written, or nothing where `blank` is set.
        """
        if not math.isfinite(value):
            return False
        scaled = round(value * 10**decimals)
        limit = 10**width - 1 if scaled >= 0 else 10 ** (width - 1) - 1
        fitting = max(-limit, min(scaled, limit))
        if fitting != scaled:
            self._misfits.add(name, value, "" if blank else f"{fitting / 10**decimals:g}")
            if blank:
                return False
        self.text(column, width, f"{fitting:>{width}d}")
        return True

    def __str__(self) -> str:
        return "".join(self._cells).rstrip()
