rule pick:
    input:
        blocks=results("index", "blocks.json"),
        recordings=lambda wildcards: [
            path
            for path in index()
            .block(PLAN.kind(wildcards.stage), wildcards.cable, wildcards.block)
            .files
            if Path(path).is_file()
        ],
        model=lambda wildcards: PLAN.model(wildcards.stage),
    output:
        picks=results("{stage}", "picks", "{cable}", "{block}.parquet"),
        coverage=results("{stage}", "coverage", "{cable}", "{block}.csv"),
    log:
        results("logs", "{stage}", "pick", "{cable}", "{block}.log"),
    benchmark:
        results("benchmarks", "{stage}", "pick", "{cable}", "{block}.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        gpu=GPUS,
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        kind=lambda wildcards: PLAN.kind(wildcards.stage),
        data=lambda wildcards: PLAN.data(wildcards.stage, wildcards.cable).model_dump(
            mode="json"
        ),
        pick=lambda wildcards: PLAN.pick_settings(wildcards.stage).model_dump(
            mode="json"
        ),
        continuous=CONFIG.continuous.model_dump(mode="json"),
        overlap_s=OVERLAP_S,
    script:
        "../scripts/pick.py"
