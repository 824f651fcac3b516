"""Train the student of a round."""

from pathlib import Path

from phasenet_das.config import StudentSettings
from phasenet_das.pipeline.log import job_log
from phasenet_das.pipeline.student import train_student

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        train_student(
            StudentSettings(**snakemake.params.student),
            snakemake.input.windows,
            Path(snakemake.output.log).parent,
        )
