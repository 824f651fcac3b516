"""How often a watch does what takes longer the more was picked."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_QUICK_S = 1.0


@dataclass
class Pace:
    """Lets a step run whenever it takes a second at most, else in a share of the time."""

    share: float
    _took_s: float = 0.0
    _ended_s: float = field(default_factory=time.monotonic)

    def is_due(self, expected_s: float) -> bool:
        """Tell whether to run the step; before the first time it is expected to take `expected_s`."""
        took_s = self._took_s or expected_s
        return took_s <= _QUICK_S or time.monotonic() - self._ended_s >= took_s / self.share

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure the step that runs in the block."""
        start_s = time.monotonic()
        yield
        self._ended_s = time.monotonic()
        self._took_s = self._ended_s - start_s
