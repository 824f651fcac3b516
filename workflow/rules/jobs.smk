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
            config=SETTINGS,
            folder=lambda wildcards, output: os.path.dirname(output.channels),
            settings=settings_of("simulate"),
        shell:
            "phasenet-das -v simulate --config {params.config:q} --workers {threads}"
            " -o {params.folder:q} > {log:q} 2>&1"


checkpoint jobs:
    input:
        recordings=input_files(CONFIG),
        channels=channel_tables(CONFIG),
    output:
        jobs=results("index", "jobs.json"),
        receivers=results("index", "receivers.parquet"),
        coverage=results("index", "coverage.csv"),
    log:
        results("logs", "jobs.log"),
    benchmark:
        results("benchmarks", "jobs.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=120,
    params:
        config=SETTINGS,
        folder=lambda wildcards, output: os.path.dirname(output.jobs),
        settings=settings_of("data", "geometry", "cables", "stations", "jobs"),
        training=CONFIG.student.model_dump(mode="json", include={"recordings"}),
        rounds=CONFIG.rounds > 0,
    shell:
        "phasenet-das -v jobs --config {params.config:q} -o {params.folder:q} > {log:q} 2>&1"
