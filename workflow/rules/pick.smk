rule pick:
    input:
        jobs=ancient(results("index", "jobs.json")),
        recordings=lambda wildcards: [
            path for path in job_of(wildcards).files if Path(path).is_file()
        ],
        model=lambda wildcards: stage_of(wildcards).needs,
    output:
        picks=results("{stage}", "picks", "{cable}", "{job}.parquet"),
        coverage=results("{stage}", "picks", "{cable}", "{job}.coverage.csv"),
    log:
        results("logs", "{stage}", "pick", "{cable}", "{job}.log"),
    benchmark:
        results("benchmarks", "{stage}", "pick", "{cable}", "{job}.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=gpus(CONFIG.pick.device),
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        config=SETTINGS,
        options=lambda wildcards: stage_of(wildcards).options,
        start=lambda wildcards: job_of(wildcards).start,
        end=lambda wildcards: job_of(wildcards).end,
        headers=headers_of,
        data=data_of,
        settings=lambda wildcards: stage_of(wildcards).settings.model_dump(mode="json"),
        continuous=settings_of("continuous"),
    shell:
        "phasenet-das -v pick --config {params.config:q} --cable {wildcards.cable}"
        " {params.options} --start {params.start} --end {params.end}"
        " --index {params.headers:q} --no-keep-chunks -o {output.picks:q} > {log:q} 2>&1"
