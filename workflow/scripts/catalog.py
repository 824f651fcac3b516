"""Write the catalog: tables, CSV and QuakeML."""

from pathlib import Path

from phasenet_das.config import ReportSettings
from phasenet_das.pipeline.catalog import publish_catalog
from phasenet_das.pipeline.log import job_log

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        publish_catalog(
            Path(snakemake.input.events).parent,
            Path(snakemake.output.events).parent,
            snakemake.input.receivers,
            ReportSettings(**snakemake.params.report),
        )
