"""Merge the events of all blocks, numbered by time, and join what was examined."""

from pathlib import Path

from phasenet_das.pipeline.events import AssociatedBlock, merge_blocks
from phasenet_das.pipeline.jobs import read_index
from phasenet_das.pipeline.log import job_log
from phasenet_das.pipeline.picks import join_coverage
from phasenet_das.tables import write_table

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        index = read_index(snakemake.input.blocks)
        files = zip(snakemake.input.events, snakemake.input.picks, snakemake.input.summaries, strict=True)
        blocks = [AssociatedBlock.of_files(index, *paths) for paths in files]
        merge_blocks(blocks, Path(snakemake.output.events).parent)
        coverage = join_coverage(snakemake.input.unusable, snakemake.input.coverage)
        write_table(coverage, snakemake.output.coverage)
