"""Pick one recording."""

from pathlib import Path

from phasenet_das.config import ContinuousSettings, DataSettings, PickSettings
from phasenet_das.joblog import job_log
from phasenet_das.picking import Selection, load_picker, pick_files

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        settings = PickSettings(**snakemake.params.pick)
        pick_files(
            load_picker(settings.weights, device=settings.device, sha256=settings.weights_sha256),
            [snakemake.params.source],
            Path(snakemake.output.picks),
            data=DataSettings(**snakemake.params.data),
            settings=settings,
            continuous=ContinuousSettings(**snakemake.params.continuous),
            selection=Selection(keep_parts=False),
            coverage=Path(snakemake.output.coverage),
        )
