"""Associate the picks of a block into located events."""

from pathlib import Path

from gamma import AssociationConfig
from phasenet_das.pipeline.events import AssociatedBlock, associate_block
from phasenet_das.pipeline.jobs import read_index
from phasenet_das.pipeline.log import job_log

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        name = snakemake.wildcards.block
        files = map(Path, (snakemake.output.events, snakemake.output.picks, snakemake.output.summary))
        associate_block(
            AssociatedBlock(name, read_index(snakemake.input.blocks).span(name), *files),
            snakemake.input.picks,
            snakemake.input.receivers,
            settings=AssociationConfig(**snakemake.params.association),
            overlap_s=snakemake.params.overlap_s,
            stations=snakemake.input.stations,
        )
