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


if CONFIG.simulated is not None:

    rule simulate:
        output:
            data=directory(results("simulated", "data")),
            channels=results("simulated", "channels.csv"),
            events=results("simulated", "truth_events.csv"),
            picks=results("simulated", "truth_picks.parquet"),
        log:
            results("logs", "simulate.log"),
        benchmark:
            results("benchmarks", "simulate.tsv")
        conda:
            ENVIRONMENT
        threads: 8
        resources:
            mem_mb=8000,
            runtime=120,
        params:
            simulate=CONFIG.simulate.model_dump(mode="json"),
        script:
            "../scripts/simulate.py"


checkpoint index:
    input:
        recordings=PLAN.recordings(),
        channels=PLAN.channel_tables(),
    output:
        blocks=results("index", "blocks.json"),
        receivers=results("index", "receivers.parquet"),
        coverage=results("index", "coverage.csv"),
    log:
        results("logs", "index.log"),
    benchmark:
        results("benchmarks", "index.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        settings=CONFIG.model_dump(
            mode="json",
            include={
                "name",
                "output",
                "simulate",
                "data",
                "geometry",
                "cables",
                "stations",
                "jobs",
                "rounds",
                "student",
            },
        ),
    script:
        "../scripts/index.py"
