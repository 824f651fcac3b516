from phasenet_das.catalog.magnitude_scale import is_named_scale


rule catalog:
    input:
        tables=lambda wildcards: [
            results(course().catalog.name, name) for name in CATALOG_FILES
        ],
        scale=[
            path
            for path in (CONFIG.report.magnitude_scale,)
            if path is not None and not is_named_scale(path)
        ],
    output:
        *[results(name) for name in CATALOG_FILES if name != "catalog.csv"],
        csv=report(
            results("catalog.csv"),
            caption="../report/catalog.rst",
            category="Catalog",
        ),
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
        folder=lambda wildcards, output: os.path.dirname(output.csv),
        magnitudes=lambda wildcards, input: (
            " && phasenet-das -v magnitude apply "
            f"{shlex.quote(os.path.dirname(input.tables[0]))} --config {shlex.quote(SETTINGS)} -o {shlex.quote(results())}"
            if CONFIG.report.magnitude_scale
            else ""
        ),
    shell:
        "(cp {input.tables:q} {params.folder:q}{params.magnitudes}) > {log:q} 2>&1"


rule evaluate:
    input:
        events=results("events.parquet"),
        coverage=results("coverage.csv"),
        truth=[
            path
            for path in (CONFIG.truth.picks, CONFIG.truth.events)
            if path is not None
        ],
        picks=lambda wildcards: [
            results(stage.name, "picks.parquet") for stage in course().evaluated
        ],
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
        config=SETTINGS,
        pickers=lambda wildcards: [
            f"{stage.picker}={results(stage.name, 'picks.parquet')}"
            for stage in course().evaluated
            if CONFIG.truth.picks is not None
        ],
        events=(
            f"--events {shlex.quote(results('events.parquet'))}"
            if CONFIG.truth.events is not None
            else ""
        ),
        settings=CONFIG.truth.model_dump(mode="json"),
    shell:
        "phasenet-das -v evaluate {params.pickers:q} {params.events}"
        " --coverage {input.coverage:q} --config {params.config:q}"
        " --json {output.scores:q} > {log:q} 2>&1"


checkpoint judge:
    input:
        jobs=ancient(results("index", "jobs.json")),
        model=lambda wildcards: STAGES[wildcards.stage].needs,
        picks=lambda wildcards: [
            results(stage, "picks.parquet") for stage in pair_of(wildcards)
        ],
        events=lambda wildcards: [
            results(stage, "events.parquet") for stage in pair_of(wildcards)
        ],
    output:
        verdict=results("{stage}", "verdict.json"),
    log:
        results("logs", "{stage}", "judge.log"),
    benchmark:
        results("benchmarks", "{stage}", "judge.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=60,
    params:
        config=SETTINGS,
        stages=lambda wildcards: [f"{one}={results(one)}" for one in pair_of(wildcards)],
    shell:
        "phasenet-das -v evaluate {params.stages:q} --label-free --config {params.config:q}"
        " --json {output.verdict:q} > {log:q} 2>&1"


rule measures:
    input:
        jobs=ancient(results("index", "jobs.json")),
        picks=lambda wildcards: [
            results(stage, "picks.parquet") for stage in course().stages
        ],
        events=lambda wildcards: [
            results(stage, "events.parquet") for stage in course().stages
        ],
    output:
        measures=report(
            results("measures.json"),
            caption="../report/measures.rst",
            category="Evaluation",
        ),
    log:
        results("logs", "measures.log"),
    benchmark:
        results("benchmarks", "measures.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=60,
    params:
        config=SETTINGS,
        folder=lambda wildcards, output: os.path.dirname(output.measures),
    shell:
        "phasenet-das -v evaluate {params.folder:q} --label-free --config {params.config:q}"
        " --json {output.measures:q} > {log:q} 2>&1"


rule report:
    input:
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        coverage=results("coverage.csv"),
        receivers=results("index", "receivers.parquet"),
        trainings=lambda wildcards: [
            str(model / "README.md") for model in course().models
        ],
        scores=[results("evaluation.json")] if has_truth(CONFIG) else [],
        measures=results("measures.json"),
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
        config=SETTINGS,
        folder=lambda wildcards, input: os.path.dirname(input.events),
        settings=CONFIG.model_dump(mode="json"),
    shell:
        "phasenet-das -v report {params.folder:q} --config {params.config:q}"
        " -o {output.html:q} > {log:q} 2>&1"
