"""Save the effective settings with the results."""

from phasenet_das.config import load_config, write_config
from phasenet_das.pipeline.log import job_log

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        write_config(load_config(snakemake.params.settings), snakemake.output.config)
