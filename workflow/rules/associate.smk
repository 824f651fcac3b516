# The names of a year of jobs do not fit into one command. A template is filled in without a process of its own.
rule list_picks:
    input:
        template=ancient(f"{workflow.basedir}/workflow/templates/picks.txt"),
        picks=picks_of,
    output:
        tables=results("{stage}", "picks.txt"),
    log:
        results("logs", "{stage}", "list_picks.log"),
    localrule: True
    template_engine:
        "jinja2"


rule associate:
    input:
        tables=results("{stage}", "picks.txt"),
        picks=picks_of,
        receivers=results("index", "receivers.parquet"),
        unusable=results("index", "coverage.csv"),
        stations=CONFIG.stations.picks,
    output:
        [results("{stage}", name) for name in CATALOG_FILES],
    log:
        results("logs", "{stage}", "associate.log"),
    benchmark:
        results("benchmarks", "{stage}", "associate.tsv")
    conda:
        ENVIRONMENT
    threads: 8
    resources:
        mem_mb=lambda wildcards, attempt: 8000 * attempt,
        runtime=lambda wildcards, attempt: 240 * attempt,
    params:
        config=SETTINGS,
        folder=lambda wildcards: results(wildcards.stage),
        scores=lambda wildcards: STAGES[wildcards.stage].smallest_scores,
        settings=settings_of("association", "stations", "geometry", "cables", "report"),
    shell:
        "phasenet-das -v associate {input.tables:q} {params.scores} --coverage {input.unusable:q}"
        " --config {params.config:q} --workers {threads} -o {params.folder:q} > {log:q} 2>&1"
