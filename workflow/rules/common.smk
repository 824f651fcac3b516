"""The validated settings, and what follows from them."""

import os
import shlex
from functools import cache
from pathlib import Path

from phasenet_das.config import load_config, write_config
from phasenet_das.pipeline.jobs import header_folder, read_jobs, recordings_of
from phasenet_das.pipeline.lock import RUN_VARIABLE, RunLock
from phasenet_das.pipeline.stages import (
    FINAL,
    channel_tables,
    check_settings,
    course_of,
    has_truth,
    input_files,
    read_verdict,
    stages_of,
)
from phasenet_das.pipeline.summary import summarise_run

CONFIG = load_config(
    config, folder=os.path.relpath(Path(workflow.configfiles[-1]).parent)
)
check_settings(CONFIG)
STAGES = stages_of(CONFIG)
JUDGED = [name for name, stage in STAGES.items() if stage.judged]
LOCK = RunLock(CONFIG.results / ".lock")
ENVIRONMENT = str(Path(workflow.basedir) / "environment.yml")


wildcard_constraints:
    stage="|".join(STAGES),
    cable=r"[A-Za-z0-9._-]+",
    job=r"\d{8}T\d{6}",


def results(*parts):
    """Path of a result of this run."""
    return str(CONFIG.results.joinpath(*parts))


SETTINGS = results("config.yaml")  # every command reads this file
CATALOG_FILES = [
    "events.parquet",
    "picks.parquet",
    "groups.parquet",
    "association.json",
    "coverage.csv",
    "coverage.csv.json",
    "catalog.csv",
    "catalog.csv.json",
    "catalog.xml",
]


@cache
def jobs_at(path, mtime_ns):
    """The jobs in a version of the list."""
    return {(job.recordings, job.cable, job.name): job for job in read_jobs(path)}


def all_jobs():
    """The jobs of this run, which are known once the headers of the recordings are read."""
    path = checkpoints.jobs.get().output.jobs
    return jobs_at(path, Path(path).stat().st_mtime_ns)


def job_of(wildcards):
    """The job of a pick table."""
    recordings = STAGES[wildcards.stage].recordings
    return all_jobs()[recordings, wildcards.cable, wildcards.job]


def picks_of(wildcards):
    """The pick tables of a stage."""
    wanted = STAGES[wildcards.stage].recordings
    return [
        results(wildcards.stage, "picks", cable, f"{job}.parquet")
        for recordings, cable, job in all_jobs()
        if recordings == wanted
    ]


def is_better(stage):
    """Whether a student is better than the one before, which is known once its stage is measured."""
    return read_verdict(checkpoints.judge.get(stage=stage.name).output.verdict)


def agreement_of(wildcards):
    """The picks of the network that labelled the round before."""
    before = STAGES[wildcards.stage].before
    return [results(before, "picks.parquet")] if before else []


def pair_of(wildcards):
    """The stage before, and a stage that is compared with it."""
    return STAGES[wildcards.stage].before, wildcards.stage


def course():
    """The stages of this run, which follow from the verdicts on its students."""
    return course_of(CONFIG, is_better)


def stage_of(wildcards):
    """The stage of a job; which student is the best, for recordings of its own, the verdicts tell."""
    stage = STAGES[wildcards.stage]
    waits = JUDGED and stage.name == FINAL and not stage.judged
    return course().stages[FINAL] if waits else stage


def headers_of(wildcards):
    """The folder that keeps the headers of a cable's files."""
    recordings = STAGES[wildcards.stage].recordings
    return str(header_folder(results("index"), recordings, wildcards.cable))


def data_of(wildcards):
    """The settings of the recordings of a cable, so that a change of them repeats a rule."""
    recordings = STAGES[wildcards.stage].recordings
    return recordings_of(CONFIG, recordings)[wildcards.cable].model_dump(mode="json")


def settings_of(*sections):
    """Sections of the settings, so that a change of them repeats a rule."""
    return CONFIG.model_dump(mode="json", include=set(sections))


def gpus(device):
    """GPUs of a job: one, unless the settings ask for the CPU."""
    return 0 if device == "cpu" else 1
