"""Pick a block of one cable."""

from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.pipeline.jobs import read_index
from phasenet_das.pipeline.log import job_log
from phasenet_das.pipeline.picks import pick_block

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        pick_block(
            read_index(snakemake.input.blocks).block(
                snakemake.params.kind, snakemake.wildcards.cable, snakemake.wildcards.block
            ),
            snakemake.output.picks,
            snakemake.output.coverage,
            data=DataSettings(**snakemake.params.data),
            settings=PickSettings(**snakemake.params.pick),
            continuous=ContinuousSettings(**snakemake.params.continuous),
            overlap_s=snakemake.params.overlap_s,
        )
