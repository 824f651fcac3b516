"""Associate the picks of all recordings into located events."""

from pathlib import Path

from gamma import AssociationConfig
from phasenet_das.catalog import associate_picks, write_association
from phasenet_das.config import GeometrySettings
from phasenet_das.geometry import load_channels
from phasenet_das.joblog import job_log
from phasenet_das.provenance import provenance
from phasenet_das.tables import read_metadata, read_pick_tables

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        picks = read_pick_tables(snakemake.input.picks)
        channels = load_channels(GeometrySettings(**snakemake.params.channels), snakemake.params.station_id)
        settings = AssociationConfig(**snakemake.params.association)
        result = associate_picks(picks, channels, settings, workers=snakemake.threads)
        origin = read_metadata(snakemake.input.picks[0])
        facts = provenance(
            settings=settings,
            inputs=snakemake.input.picks,
            weights_id=origin.get("weights_id"),
            amplitude_unit=origin.get("amplitude_unit"),
        )
        write_association(result, Path(snakemake.output.events).parent, facts)
