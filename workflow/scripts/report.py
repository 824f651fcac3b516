"""Write the report of the run."""

from pathlib import Path

from phasenet_das.config import load_config
from phasenet_das.pipeline.log import job_log
from phasenet_das.report.run import write_run_report

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        write_run_report(
            load_config(snakemake.params.settings),
            Path(snakemake.input.events).parent,
            snakemake.output.html,
        )
