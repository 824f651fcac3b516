"""Write the generated files: ``python -m phasenet_das.config``."""

from __future__ import annotations

from pathlib import Path

from phasenet_das.config.generate import write_generated

if __name__ == "__main__":
    write_generated(Path(__file__).parents[2] / "configs")
