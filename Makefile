## metamemory: a reproducible study of meta-learning with memory
##
##   make study                 data, the headline runs and the book, on a laptop's CPU (about half an hour the first time)
##   make study ALL=1           the same with every run (two cores: overnight)
##   make study JOBS=1          one run after the other; else as many side by side as there are cores, one thread each
##   make study SEEDS=3         the same with seeds 0, 1 and 2 of each run (it writes scale and seeds to params.yaml)
##   make study SCALE=smoke     the same at a size that only shows that everything works (minutes)
##   make study SCALE=paper     the same at the papers' size (one data-centre GPU)
##
##   make data                  fetch and prepare the data sets; METAMEMORY_MIRROR=<folder or URL> is tried first
##   make book                  build the book from results/, if anything that it shows has changed
##   make test                  lint, then the tests, as many side by side as there are cores (two cores: ten minutes)
##   make test-all              the same with the slow ones
##   make test-mutations        mistakes made again in copies of the package, which tests must catch (about an hour)
##   make bench                 speed against plain references, side by side (results/speed/)
##   make lint                  style of the code and the notebooks
##   make clean                 remove what the targets above can rebuild at once (not data, results, checkpoints, .venv)
##
## Every target first sets up .venv when it is missing or out of date (about 6 GB, a few minutes);
## PYTHON=<interpreter> chooses the Python it is made with. An interrupted study goes on where it stopped.

SCALE ?= laptop
ALL ?=
JOBS ?= $(MOST_JOBS)
SEEDS ?= 1
PYTHON ?=

# Side by side: a run a core, if each has its 2 GB of memory; on the GPU that paper scale is for, one.
CORES := $(shell getconf _NPROCESSORS_ONLN)
ROOM := $(shell { echo $$(( $$(getconf _PHYS_PAGES) / 1024 * $$(getconf PAGESIZE) / 2097152 )); } 2> /dev/null)
MOST_JOBS := $(if $(filter paper,$(SCALE)),1,$(shell [ "$(ROOM)" -ge 1 ] 2> /dev/null && [ "$(ROOM)" -lt $(CORES) ] && echo $(ROOM) || echo $(CORES)))

# DVC gives names twice in dvc.lock, which its parser warns of at length at every call.
export PYTHONWARNINGS ?= ignore:::ruamel.yaml.composer

ifneq ($(words $(SCALE)) $(filter-out smoke laptop paper,$(SCALE)),1 )
$(error SCALE must be smoke, laptop or paper, not '$(SCALE)')
endif

ifneq ($(shell test "$(JOBS)" -ge 1 2> /dev/null && echo yes),yes)
$(error JOBS must be a number of runs to do side by side, not '$(JOBS)')
endif

ifneq ($(shell test "$(SEEDS)" -ge 1 2> /dev/null && echo yes),yes)
$(error SEEDS must be a number of seeds for each run, not '$(SEEDS)')
endif

READY := .venv/.ready
CODE := $(wildcard src tests notebooks benchmarks)
NOTEBOOKS = $(wildcard notebooks/*/*/*.ipynb)
PAGE := book/_build/html/index.html

# `dvc repro` and the notebooks call plain `python`.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help study data test test-mutations test-all lint book bench clean

help:
	@sed -n 's/^## \{0,1\}//p' Makefile

# The interpreter is looked up by running it, since a version manager's shim can exist and fail. Its base executable is
# used, so that an activated .venv does not rebuild itself. .venv/.partial marks an installation that was interrupted:
# pip would take its half-written packages for installed ones, so the next attempt starts from an empty folder.
$(READY): requirements.lock pyproject.toml
	@if [ -e .venv/.partial ] || ! .venv/bin/python -m pip --version > /dev/null 2>&1; then \
	  base=; \
	  for candidate in $(PYTHON) $(if $(PYTHON),,python3 python3.13 python3.12 python3.11); do \
	    base=$$("$$candidate" -c 'import ensurepip, sys, venv; (3, 11) <= sys.version_info < (3, 14) or sys.exit(1); print(sys._base_executable)' 2> /dev/null) && break; \
	    base=; \
	  done; \
	  if [ -z "$$base" ]; then \
	    echo "make: no Python from 3.11 to 3.13 with its venv module found$(if $(PYTHON), as '$(PYTHON)'); install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 1; \
	  fi; \
	  rm -rf .venv && mkdir .venv && touch .venv/.partial && "$$base" -m venv .venv; \
	fi
	@echo "Setting up .venv with $$(.venv/bin/python --version): about 6 GB and 2 to 5 minutes the first time"
	@started=$$(date +%s) && touch .venv/.partial \
	  && .venv/bin/python -m pip install -qq --disable-pip-version-check -r requirements.lock \
	  && .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e . \
	  && mkdir -p .venv/etc/ipython && echo 'c.IPKernelApp.log_level = 40' > .venv/etc/ipython/ipython_kernel_config.py \
	  && rm .venv/.partial && touch $@ \
	  && echo "Ready after $$(( $$(date +%s) - started )) s"

data: $(READY)
	@python -m metamemory data
	@[ -f data.dvc ] || dvc add --quiet data

# DVC does one stage after the other. What has run before it comes to a stage, the stage finds done; what has failed
# it tries again, and stops there. Each run has its share of the processor's cores; on one thread it waits for no other,
# so that a busy neighbour costs it no more than the neighbour's share (benchmarks/neighbours.py). After a signal, make
# stops; a run that failed is left to DVC.
WORK = python -m metamemory work --pipeline --weights --jobs $(JOBS) $(if $(ALL),,--headline) || [ $$? -lt 128 ]

study: data
	@python -m metamemory pipeline --scale $(SCALE) --seeds $(SEEDS)
	@targets= && if [ -z "$(ALL)" ]; then \
	  targets=$$(python -m metamemory list --headline --stages) || exit 1; \
	  [ -n "$$targets" ] || { echo "make: no run is marked as headline in params.yaml" >&2; exit 1; }; \
	fi && echo "Runs at scale $(SCALE): $(if $(ALL),all,the headline)" \
	&& { $(WORK); } && dvc repro $$targets
	@$(MAKE) --no-print-directory book

# DVC knows what the pages are made of: themselves, the package's code, and all results.
book: data
	@python -m metamemory digests > /dev/null
	@echo "Building the book, if anything that it shows has changed (its pages are executed: a minute or two)"
	@dvc repro --single-item book > /dev/null
	@echo "Open $(CURDIR)/$(PAGE)"

lint: $(READY)
	@ruff check $(CODE)
	@ruff format --check $(CODE)
	@$(if $(NOTEBOOKS),nbstripout --verify $(NOTEBOOKS),true)

# A worker a core, each with one thread; the tests of a file, which may share something costly, stay on one worker.
PYTEST = OMP_NUM_THREADS=1 pytest -n $(CORES) --dist loadfile

test: lint
	@$(PYTEST)

# The last -m wins over the one among pytest's options in pyproject.toml.
test-all: lint
	@$(PYTEST) -m 'not mutation'

# Mistakes made again in copies of the package, each of which the tests named for it must catch (an hour).
test-mutations: $(READY)
	@$(PYTEST) -m mutation tests/test_mutations.py

bench: $(READY)
	@python benchmarks/speed.py
	@python benchmarks/cost.py
	@python benchmarks/pipeline.py
	@python benchmarks/neighbours.py

clean:
	@rm -rf book/_build digests dvc_plots .pytest_cache .ruff_cache .hypothesis
	@find $(CODE) book -name __pycache__ -prune -exec rm -rf {} +
