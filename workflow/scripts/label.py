"""Cut the training windows of a block, with kept and rejected picks."""

from phasenet_das.config import DataSettings, PickSettings, StudentSettings
from phasenet_das.pipeline.jobs import TRAINING, read_index
from phasenet_das.pipeline.labels import cut_block
from phasenet_das.pipeline.log import job_log

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        cut_block(
            read_index(snakemake.input.blocks).block(
                TRAINING, snakemake.wildcards.cable, snakemake.wildcards.block
            ),
            snakemake.input.picks,
            snakemake.input.events,
            snakemake.output.windows,
            data=DataSettings(**snakemake.params.data),
            settings=StudentSettings(**snakemake.params.student),
            pick=PickSettings(**snakemake.params.pick),
            overlap_s=snakemake.params.overlap_s,
        )
