# Files in, earthquake catalog out:
#   snakemake --cores 2                                          the demo: everything is simulated
#   snakemake --cores 2 --configfile configs/brady.yaml          a real earthquake
#   snakemake --cores 2 --configfile my_cable.yaml --dry-run     what would be done; phasenet-das init writes the file
import json
import os
import sys
from dataclasses import asdict

from snakemake.utils import min_version

min_version("9.20")

# Jobs find the package of this checkout even when it is not installed in their environment.
sys.path.insert(0, workflow.basedir)
inherited = os.getenv("PYTHONPATH")
os.environ.update(
    PYTHONPATH=os.pathsep.join([workflow.basedir] + ([inherited] if inherited else [])),
    OMP_NUM_THREADS="1",  # jobs run side by side, and give the same numbers with any count of cores
)

if not workflow.configfiles:

    configfile: "configs/demo.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/pick.smk"
include: "workflow/rules/associate.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/catalog.smk"


rule all:
    default_target: True
    input:
        results("config.yaml"),
        results("catalog.csv"),
        results("catalog.xml"),
        results("report.html"),
    localrule: True


onstart:
    os.environ[RUN_VARIABLE] = json.dumps(asdict(LOCK.acquire()))


onsuccess:
    LOCK.release()
    print(PLAN.summary())


onerror:
    LOCK.release()
