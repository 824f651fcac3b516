rule settings:
    output:
        config=results("config.yaml"),
    log:
        results("logs", "settings.log"),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        settings=CONFIG.model_dump(mode="json"),
    script:
        "../scripts/settings.py"


rule pick:
    input:
        recording=lambda wildcards: existing(RECORDINGS[wildcards.recording]),
    output:
        picks=results("picks", "{recording}.parquet"),
        coverage=results("coverage", "{recording}.csv"),
    log:
        results("logs", "pick", "{recording}.log"),
    benchmark:
        results("benchmarks", "pick", "{recording}.tsv")
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        source=lambda wildcards: RECORDINGS[wildcards.recording],
        data=CONFIG.data.model_dump(mode="json"),
        pick=CONFIG.pick.model_dump(mode="json"),
        continuous=CONFIG.continuous.model_dump(mode="json"),
    script:
        "../scripts/pick.py"
