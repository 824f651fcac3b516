# Files in, earthquake catalog out:  snakemake --cores 2 --configfile configs/brady.yaml
import os
import sys

from snakemake.utils import min_version

min_version("9.20")

# Jobs find the package of this checkout even when it is not installed in their environment.
sys.path.insert(0, workflow.basedir)
inherited = os.getenv("PYTHONPATH")
os.environ.update(
    PYTHONPATH=os.pathsep.join([workflow.basedir] + ([inherited] if inherited else []))
)

if not workflow.configfiles:

    configfile: "configs/brady.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/pick.smk"
include: "workflow/rules/catalog.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        results("config.yaml"),
        results("catalog.csv"),
        results("catalog.xml"),
        results("report.html"),
    localrule: True
