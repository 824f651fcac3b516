"""Hold picks and events against what is known."""

from phasenet_das.config import EvaluationSettings
from phasenet_das.pipeline.log import job_log
from phasenet_das.pipeline.summary import evaluate_run

if __name__ == "__main__":  # worker processes import this file
    with job_log(snakemake.log[0]):
        evaluate_run(
            dict(zip(snakemake.params.names, snakemake.input.picks, strict=True)),
            snakemake.input.events,
            snakemake.input.coverage,
            EvaluationSettings(**snakemake.params.truth),
            snakemake.output.scores,
        )
