"""Pick one recording."""

from phasenet_das.config import DataSettings, PickSettings
from phasenet_das.joblog import job_log
from phasenet_das.picking import load_picker, pick_facts, pick_recordings
from phasenet_das.provenance import provenance
from phasenet_das.tables import write_table

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        settings = PickSettings(**snakemake.params.pick)
        picker = load_picker(settings.weights, device=settings.device, sha256=settings.weights_sha256)
        source = snakemake.params.source
        picks, coverage = pick_recordings(picker, [source], DataSettings(**snakemake.params.data), settings)
        facts = provenance(settings=settings, inputs=[source], **pick_facts(picks))
        write_table(picks, snakemake.output.picks, facts)
        write_table(coverage, snakemake.output.coverage)
