"""Index the recordings: which blocks of time hold what."""

from pathlib import Path

from phasenet_das.config import load_config
from phasenet_das.pipeline.jobs import index_recordings
from phasenet_das.pipeline.log import job_log

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        index_recordings(load_config(snakemake.params.settings), Path(snakemake.output.blocks).parent)
