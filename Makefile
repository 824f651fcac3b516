# Each target sets up what it needs: on a fresh machine one of these is the only command.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
# The original PhaseNet weights: SeisBench's cache, or the folder of real recordings beside this checkout.
SEISBENCH_CACHE_ROOT ?= $(firstword $(wildcard ../shared/seisbench_cache) $(HOME)/.seisbench)
export SEISBENCH_CACHE_ROOT
CORES ?= 2

.PHONY: demo brady test lint format bench generated weights
.DEFAULT_GOAL := test

$(INSTALLED): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed; say make PYTHON=..."'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

# The whole way on a simulated cable: teacher, association, student, catalog, evaluation. No download.
demo: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile configs/demo.yaml

# A real earthquake, in the recording that comes with daspy-toolbox. No download.
brady: $(INSTALLED)
	$(BIN)/snakemake --cores $(CORES) --configfile configs/brady.yaml

test: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(CORES) --dist worksteal

lint: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/snakefmt --check Snakefile workflow/rules

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow/rules

# configs/schema.json and configs/default.yaml from phasenet_das/config, docs/commands.md from --help
generated: $(INSTALLED)
	$(BIN)/python -m phasenet_das.config
	$(BIN)/python docs/make_commands.py

bench: $(INSTALLED)
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/run.py

# The bundled networks, PhaseNet-DAS and the one-channel PhaseNet: 10 GB of simulated windows, then a first stage of
# PhaseNet-DAS, and PhaseNet. Each of the three goes on where it was stopped. On two cores, a training takes two hours at
# most. A further stage of PhaseNet-DAS: --start lean=results/bundled_training/lean --out results/stage2.
weights: $(INSTALLED)
	echo 0 1 | OMP_NUM_THREADS=1 xargs -n 1 -P 2 $(BIN)/python benchmarks/training_store.py --end 720 --step 2 --first
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/bundled_training.py --makers 0 --wait 0 --minutes 110 --batch-size 8 \
		--rate 1e-3 --planners 1
	OMP_NUM_THREADS=1 $(BIN)/python benchmarks/teacher.py
