"""The validated settings, and what follows from them."""

import os
from pathlib import Path

from phasenet_das.config import load_config
from phasenet_das.pipeline.jobs import overlap_s, read_index
from phasenet_das.pipeline.stages import FINAL, Plan
from phasenet_das.pipeline.lock import RUN_VARIABLE, RunLock

CONFIG = load_config(
    config, folder=os.path.relpath(Path(workflow.configfiles[-1]).parent)
)
PLAN = Plan(CONFIG)
PLAN.check()
LOCK = RunLock(PLAN.results(".lock"))
ENVIRONMENT = str(Path(workflow.basedir) / "environment.yml")
OVERLAP_S = overlap_s(CONFIG.jobs)
GPUS = 0 if CONFIG.pick.device == "cpu" else 1


wildcard_constraints:
    stage="|".join(PLAN.stages),
    cable=r"[A-Za-z0-9._-]+",
    block=r"\d{8}T\d{6}",


def results(*parts):
    """Path of a result of this run."""
    return PLAN.results(*parts)


def index():
    """The blocks of this run, which are known once the recordings are indexed."""
    return read_index(checkpoints.index.get().output.blocks)


def of_blocks(pairs, *parts):
    """Paths of a result of several blocks."""
    return [
        results(*(part.format(cable=cable, block=block) for part in parts))
        for cable, block in pairs
    ]


def of_stage(wildcards, *parts):
    """Paths of a result of all blocks of a stage, each block once."""
    names = index().names(PLAN.kind(wildcards.stage))
    return [
        results(wildcards.stage, *(part.format(block=name) for part in parts))
        for name in names
    ]
