"""Write the catalog: tables, CSV and QuakeML."""

from pathlib import Path

from phasenet_das.config import ReportSettings
from phasenet_das.joblog import job_log
from phasenet_das.workflow.catalog import publish_catalog

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        publish_catalog(
            Path(snakemake.input.events).parent,
            Path(snakemake.output.events).parent,
            snakemake.input.receivers,
            ReportSettings(**snakemake.params.report),
        )
