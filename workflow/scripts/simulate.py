"""Make the recordings by simulation."""

from pathlib import Path

from phasenet_das.pipeline.log import job_log
from phasenet_das.simulate import scenario, simulate

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        choice = snakemake.params.simulate
        simulate(
            scenario(choice["scenario"], **choice["settings"]),
            Path(snakemake.output.events).parent,
            seed=choice["seed"],
            workers=snakemake.threads,
        )
