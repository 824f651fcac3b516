rule associate:
    input:
        blocks=results("index", "blocks.json"),
        receivers=results("index", "receivers.parquet"),
        stations=CONFIG.stations.picks,
        picks=lambda wildcards: of_blocks(
            PLAN.near_pairs(index(), wildcards.stage, wildcards.block),
            wildcards.stage,
            "picks",
            "{cable}",
            "{block}.parquet",
        ),
    output:
        events=results("{stage}", "blocks", "{block}.events.parquet"),
        picks=results("{stage}", "blocks", "{block}.picks.parquet"),
        summary=results("{stage}", "blocks", "{block}.json"),
    log:
        results("logs", "{stage}", "associate", "{block}.log"),
    benchmark:
        results("benchmarks", "{stage}", "associate", "{block}.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 120 * attempt,
    params:
        association=CONFIG.association.model_dump(mode="json"),
        overlap_s=OVERLAP_S,
    script:
        "../scripts/associate.py"


rule merge:
    input:
        blocks=results("index", "blocks.json"),
        unusable=results("index", "coverage.csv"),
        events=lambda wildcards: of_stage(wildcards, "blocks", "{block}.events.parquet"),
        picks=lambda wildcards: of_stage(wildcards, "blocks", "{block}.picks.parquet"),
        summaries=lambda wildcards: of_stage(wildcards, "blocks", "{block}.json"),
        coverage=lambda wildcards: of_blocks(
            PLAN.block_pairs(index(), wildcards.stage),
            wildcards.stage,
            "coverage",
            "{cable}",
            "{block}.csv",
        ),
    output:
        events=results("{stage}", "events.parquet"),
        picks=results("{stage}", "picks.parquet"),
        summary=results("{stage}", "association.json"),
        coverage=results("{stage}", "coverage.csv"),
    log:
        results("logs", "{stage}", "merge.log"),
    benchmark:
        results("benchmarks", "{stage}", "merge.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=60,
    script:
        "../scripts/merge.py"
