rule associate:
    input:
        picks=expand(results("picks", "{recording}.parquet"), recording=RECORDINGS),
        channels=existing(CONFIG.channels.path),
    output:
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        summary=results("association.json"),
    log:
        results("logs", "associate.log"),
    benchmark:
        results("benchmarks", "associate.tsv")
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=4000,
        runtime=60,
    params:
        station_id=CONFIG.data.station_id,
        channels=CONFIG.channels.model_dump(mode="json"),
        association=CONFIG.association.model_dump(mode="json"),
    script:
        "../scripts/associate.py"


rule catalog:
    input:
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        channels=existing(CONFIG.channels.path),
    output:
        csv=report(
            results("catalog.csv"),
            caption="../report/catalog.rst",
            category="Catalog",
        ),
        quakeml=results("catalog.xml"),
    log:
        results("logs", "catalog.log"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        station_id=CONFIG.data.station_id,
        channels=CONFIG.channels.model_dump(mode="json"),
        report=CONFIG.report.model_dump(mode="json"),
    script:
        "../scripts/catalog.py"
