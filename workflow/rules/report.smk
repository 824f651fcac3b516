rule report:
    input:
        events=results("events.parquet"),
        picks=results("picks.parquet"),
        summary=results("association.json"),
        coverage=expand(results("coverage", "{recording}.csv"), recording=RECORDINGS),
        recordings=[
            source for name in RECORDINGS for source in existing(RECORDINGS[name])
        ],
        channels=existing(CONFIG.channels.path),
    output:
        html=report(
            results("report.html"),
            caption="../report/report.rst",
            category="Report",
        ),
    log:
        results("logs", "report.log"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        sources=list(RECORDINGS.values()),
        settings=CONFIG.model_dump(mode="json"),
    script:
        "../scripts/report.py"
