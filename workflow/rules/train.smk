rule label:
    input:
        blocks=results("index", "blocks.json"),
        picks=results("{stage}", "picks.parquet"),
        events=results("{stage}", "events.parquet"),
        recordings=lambda wildcards: [
            path
            for path in index()
            .block("training", wildcards.cable, wildcards.block)
            .files
            if Path(path).is_file()
        ],
    output:
        windows=directory(results("{stage}", "windows", "{cable}", "{block}")),
    log:
        results("logs", "{stage}", "label", "{cable}", "{block}.log"),
    benchmark:
        results("benchmarks", "{stage}", "label", "{cable}", "{block}.tsv")
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=lambda wildcards, attempt: 4000 * attempt,
        runtime=lambda wildcards, attempt: 60 * attempt,
    params:
        data=lambda wildcards: PLAN.data(wildcards.stage, wildcards.cable).model_dump(
            mode="json"
        ),
        student=CONFIG.student.model_dump(
            mode="json", include={"before_s", "after_s", "min_channel_share"}
        ),
        pick=CONFIG.pick.model_dump(mode="json"),
        overlap_s=OVERLAP_S,
    script:
        "../scripts/label.py"


rule train:
    input:
        windows=lambda wildcards: of_blocks(
            PLAN.block_pairs(index(), wildcards.stage),
            wildcards.stage,
            "windows",
            "{cable}",
            "{block}",
        ),
    output:
        weights=results("{stage}", "training", "model", "model.safetensors"),
        card=results("{stage}", "training", "model", "README.md"),
        log=results("{stage}", "training", "log.csv"),
        curve=report(
            results("{stage}", "training", "training_curve.png"),
            caption="../report/training.rst",
            category="Training",
        ),
    log:
        results("logs", "{stage}", "train.log"),
    benchmark:
        results("benchmarks", "{stage}", "train.tsv")
    conda:
        ENVIRONMENT
    threads: CONFIG.student.processes
    resources:
        gpu=GPUS * CONFIG.student.processes,
        mem_mb=16000,
        runtime=24 * 60,
    params:
        student=CONFIG.student.model_dump(mode="json"),
    script:
        "../scripts/train.py"
