## metamemory: a reproducible study of meta-learning with memory
##
##   make study                 data, the headline runs and the book, on a laptop's CPU (about half an hour the first time)
##   make study ALL=1           the same with every run (two cores: a day and a half)
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
##   make verify                measure the weights of pretrained/ on this machine: are the committed numbers found again?
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

# Side by side: a run a core, if each has its 2 GB of memory; on the GPU that paper scale is for, one. What counts is
# what may be used, which a scheduler's affinity and a container's limits cut down. (`nproc` heeds OpenMP's variables.)
CGROUP := /sys/fs/cgroup
CORES := $(shell n=$$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2> /dev/null || getconf _NPROCESSORS_ONLN); \
  cat $(CGROUP)/cpu.max $(CGROUP)/cpu/cpu.cfs_quota_us $(CGROUP)/cpu/cpu.cfs_period_us 2> /dev/null | tr '\n' ' ' | \
  { read quota period more; [ "$${quota:-max}" -gt 0 ] 2> /dev/null && [ "$${period:-0}" -gt 0 ] && most=$$(( quota / period )) || most=$$n; \
    [ $$most -ge 1 ] || most=1; [ $$most -lt $$n ] && echo $$most || echo $$n; })
ROOM := $(shell { echo $$(( $$(getconf _PHYS_PAGES) / 1024 * $$(getconf PAGESIZE) / 2097152 )); \
  cat $(CGROUP)/memory.max $(CGROUP)/memory/memory.limit_in_bytes; } 2> /dev/null | \
  { read room; read limit; [ "$${limit:-max}" -gt 0 ] 2> /dev/null && [ $$(( limit / 2147483648 )) -lt "$$room" ] && room=$$(( limit / 2147483648 )); echo $$room; })
MOST_JOBS := $(if $(filter paper,$(SCALE)),1,$(shell [ "$(ROOM)" -ge 1 ] 2> /dev/null && [ "$(ROOM)" -lt $(CORES) ] && echo $(ROOM) || echo $(CORES)))

# Tools keep caches and settings in HOME: where there is none that can be written to, as for an unknown user in a
# container, they do so here. Git goes on reading what it would have read.
ifneq ($(shell [ -d "$$HOME" ] && [ -w "$$HOME" ] && echo yes),yes)
ifneq ($(wildcard $(HOME)/.gitconfig),)
export GIT_CONFIG_GLOBAL ?= $(HOME)/.gitconfig
endif
export HOME := $(CURDIR)/.cache/home
$(shell mkdir -p .cache/home)
endif
ifneq ($(shell id -un > /dev/null 2>&1 && echo yes),yes)
export USER ?= user
endif

# Files are UTF-8 whatever the locale, for the tools around the study as well.
export PYTHONUTF8 := 1

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

# The stages of `dvc repro` call plain `python`. Recipes do not: GNU make 3.81, which macOS has, looks up what it calls
# itself in the PATH that it was called with.
BIN := .venv/bin
METAMEMORY := $(BIN)/python -m metamemory
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help study first data test test-mutations test-all lint book verify bench clean

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

# DVC needs Git. Without it, as in a copy that was downloaded as a ZIP, runs are done and the book is built without DVC.
GIT := $(wildcard .git)
first:
	@$(if $(GIT),true,echo "There is no .git here, so DVC is left out: a run is done again only if its configuration, code or data have changed, the book each time")

data: $(READY)
	@$(METAMEMORY) data
	@$(if $(GIT),[ -f data.dvc ] || $(BIN)/dvc add --quiet data,true)

# DVC does one stage after the other. What has run before it comes to a stage, the stage finds done; what has failed
# it tries again, and stops there. Each run has its share of the processor's cores; on one thread it waits for no other,
# so that a busy neighbour costs it no more than the neighbour's share (benchmarks/neighbours.py). After a signal, make
# stops; a run that failed is left to DVC.
WORK = $(METAMEMORY) work --pipeline --weights --jobs $(JOBS) $(if $(ALL),,--headline)

REPRO = { $(WORK) || [ $$? -lt 128 ]; } && $(BIN)/dvc repro $$targets

study: first data
	@$(METAMEMORY) pipeline --scale $(SCALE) --seeds $(SEEDS)
	@targets= && if [ -z "$(ALL)" ]; then \
	  targets=$$($(METAMEMORY) list --headline --stages) || exit 1; \
	  [ -n "$$targets" ] || { echo "make: no run is marked as headline in params.yaml" >&2; exit 1; }; \
	fi && echo "Runs at scale $(SCALE): $(if $(ALL),all,the headline)" \
	&& $(if $(GIT),$(REPRO),$(WORK))
	@$(MAKE) --no-print-directory book

# DVC knows what the pages are made of: themselves, the package's code, and all results.
book: data
	@$(METAMEMORY) digests > /dev/null
	@echo "Building the book, if anything that it shows has changed (its pages are executed: a minute or two)"
	@$(if $(GIT),$(BIN)/dvc repro --single-item book > /dev/null,$(BIN)/jupyter-book build --all -W -n --keep-going -q book)
	@echo "Open $(CURDIR)/$(PAGE)"

lint: $(READY)
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(if $(NOTEBOOKS),$(BIN)/nbstripout --verify $(NOTEBOOKS),true)

# A worker a core, each with one thread; the tests of a file, which may share something costly, stay on one worker, and
# files are begun in the order of tests/conftest.py.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

test: lint
	@$(PYTEST)

# The last -m wins over the one among pytest's options in pyproject.toml.
test-all: lint
	@$(PYTEST) -m 'not mutation'

# Mistakes made again in copies of the package, each of which the tests named for it must catch (an hour).
test-mutations: $(READY)
	@$(PYTEST) -m mutation tests/test_mutations.py

# In data/ may be a stand-in, of which `verify` would say which data set is missing.
verify: $(READY)
	@$(METAMEMORY) data omniglot
	@$(METAMEMORY) verify

bench: $(READY)
	@$(BIN)/python benchmarks/speed.py
	@$(BIN)/python benchmarks/cost.py
	@$(BIN)/python benchmarks/pipeline.py
	@$(BIN)/python benchmarks/neighbours.py

clean:
	@rm -rf book/_build digests dvc_plots .pytest_cache .ruff_cache .hypothesis
	@find $(CODE) book -name __pycache__ -prune -exec rm -rf {} +
