# Files in, earthquake catalog out:
#   snakemake --cores 2                                          the demo: everything is simulated
#   snakemake --cores 2 --configfile configs/brady.yaml          a real earthquake
#   snakemake --cores 2 --configfile my_cable.yaml --dry-run     what would be done; phasenet-das init writes the file
# `phasenet-das run my_cable.yaml` does the same from any folder.
import json
import os
import sys
from dataclasses import asdict

from snakemake.utils import min_version

min_version("9.20")

# Commands are those of this Python, and of the package of this checkout even when another one is installed.
sys.path.insert(0, workflow.basedir)
os.environ.update(
    {
        name: os.pathsep.join(filter(None, [first, os.getenv(name)]))
        for name, first in (
            ("PYTHONPATH", workflow.basedir),
            ("PATH", os.path.dirname(sys.executable)),
        )
    }
)
# Snakemake gives each job as many threads of linear algebra as cores, and then sums depend on the number of cores.
shell.prefix(
    "set -euo pipefail; export "
    + " ".join(
        f"{library}_NUM_THREADS=1"
        for library in ("OMP", "GOTO", "OPENBLAS", "MKL", "NUMEXPR")
    )
    + " VECLIB_MAXIMUM_THREADS=1; "
)

if not workflow.configfiles:

    configfile: "configs/demo.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/jobs.smk"
include: "workflow/rules/pick.smk"
include: "workflow/rules/associate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/catalog.smk"


rule all:
    default_target: True
    input:
        results("catalog.csv"),
        results("catalog.xml"),
        results("report.html"),
    localrule: True


onstart:
    os.environ[RUN_VARIABLE] = json.dumps(asdict(LOCK.acquire()))
    write_config(CONFIG, SETTINGS)


onsuccess:
    LOCK.release()
    print(summarise_run(CONFIG))


onerror:
    LOCK.release()
