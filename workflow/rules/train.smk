rule windows:
    input:
        jobs=ancient(results("index", "jobs.json")),
        picks=results("{stage}", "picks.parquet"),
        events=results("{stage}", "events.parquet"),
        faint=results("{stage}", "picks.txt"),
        tables=picks_of,
        agree=agreement_of,
    output:
        windows=directory(results("{stage}", "windows", "{cable}")),
    log:
        results("logs", "{stage}", "windows", "{cable}.log"),
    benchmark:
        results("benchmarks", "{stage}", "windows", "{cable}.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        config=SETTINGS,
        headers=headers_of,
        agree=lambda wildcards, input: " ".join(
            f"--agree {shlex.quote(path)}" for path in input.agree
        ),
        data=data_of,
        pick=settings_of("pick"),
        student=CONFIG.student.model_dump(
            mode="json",
            include={
                "before_s": True,
                "after_s": True,
                "min_channel_share": True,
                "complete_channels": True,
                "align_window_s": True,
                "data": {"label_sigma_s"},
            },
        ),
    shell:
        "phasenet-das -v windows --config {params.config:q} --cable {wildcards.cable}"
        " --picks {input.picks:q} --events {input.events:q} --faint {input.faint:q} {params.agree}"
        " --index {params.headers:q} -o {output.windows:q} > {log:q} 2>&1"


rule train:
    input:
        windows=lambda wildcards: [
            results(wildcards.stage, "windows", cable)
            for cable in recordings_of(CONFIG, STAGES[wildcards.stage].recordings)
        ],
        start=lambda wildcards: STAGES[wildcards.stage].needs,
    # log.csv is no output: Snakemake deletes outputs of an interrupted job, and the training adds to it.
    output:
        weights=results("{stage}", "training", "model", "model.safetensors"),
        card=results("{stage}", "training", "model", "README.md"),
        curve=report(
            results("{stage}", "training", "training_curve.png"),
            caption="../report/training.rst",
            category="Training",
        ),
    log:
        results("logs", "{stage}", "train.log"),
    benchmark:
        results("benchmarks", "{stage}", "train.tsv")
    conda:
        ENVIRONMENT
    threads: CONFIG.student.processes
    resources:
        gpu=gpus(CONFIG.student.device) * CONFIG.student.processes,
        mem_mb=16000,
        runtime=24 * 60,
    params:
        config=SETTINGS,
        windows=lambda wildcards, input: " ".join(
            f"--windows {shlex.quote(folder)}" for folder in input.windows
        ),
        start=lambda wildcards: (
            f"--weights {shlex.quote(str(STAGES[wildcards.stage].model))}"
            if STAGES[wildcards.stage].model
            else ""
        ),
        folder=lambda wildcards: results(wildcards.stage, "training"),
        settings=settings_of("student"),
    shell:
        "phasenet-das -v train --config {params.config:q} {params.windows} {params.start}"
        " -o {params.folder:q} > {log:q} 2>&1"
