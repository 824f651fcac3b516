rule catalog:
    input:
        events=results(FINAL, "events.parquet"),
        picks=results(FINAL, "picks.parquet"),
        summary=results(FINAL, "association.json"),
        coverage=results(FINAL, "coverage.csv"),
        receivers=results("index", "receivers.parquet"),
        scale=CONFIG.report.magnitude_scale or [],
    output:
        csv=report(
            results("catalog.csv"),
            caption="../report/catalog.rst",
            category="Catalog",
        ),
        quakeml=results("catalog.xml"),
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        summary=results("association.json"),
        coverage=results("coverage.csv"),
    log:
        results("logs", "catalog.log"),
    benchmark:
        results("benchmarks", "catalog.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        report=CONFIG.report.model_dump(mode="json"),
    script:
        "../scripts/catalog.py"


rule evaluate:
    input:
        events=results("events.parquet"),
        coverage=results("coverage.csv"),
        truth=[
            path
            for path in (CONFIG.truth.picks, CONFIG.truth.events)
            if path is not None
        ],
        picks=[results(stage, "picks.parquet") for stage in PLAN.judged_stages()],
    output:
        scores=report(
            results("evaluation.json"),
            caption="../report/evaluation.rst",
            category="Evaluation",
        ),
    log:
        results("logs", "evaluate.log"),
    benchmark:
        results("benchmarks", "evaluate.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        names=[PLAN.picker_name(stage) for stage in PLAN.judged_stages()],
        truth=CONFIG.truth.model_dump(mode="json"),
    script:
        "../scripts/evaluate.py"


rule report:
    input:
        blocks=results("index", "blocks.json"),
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        coverage=results("coverage.csv"),
        receivers=results("index", "receivers.parquet"),
        trainings=[results(stage, "training", "log.csv") for stage in PLAN.rounds],
        scores=[results("evaluation.json")] if PLAN.has_truth() else [],
    output:
        html=report(
            results("report.html"),
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        results("logs", "report.log"),
    benchmark:
        results("benchmarks", "report.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        settings=CONFIG.model_dump(mode="json"),
    script:
        "../scripts/report.py"
