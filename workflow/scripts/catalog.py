"""Write the catalog as CSV and QuakeML."""

from pathlib import Path

from phasenet_das.catalog import write_catalog
from phasenet_das.config import GeometrySettings, ReportSettings
from phasenet_das.geometry import load_channels
from phasenet_das.joblog import job_log
from phasenet_das.tables import read_events, read_metadata, read_picks

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        write_catalog(
            read_events(snakemake.input.events),
            read_picks(snakemake.input.picks),
            Path(snakemake.output.csv).parent,
            load_channels(GeometrySettings(**snakemake.params.channels), snakemake.params.station_id),
            ReportSettings(**snakemake.params.report),
            read_metadata(snakemake.input.events),
        )
