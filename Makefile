# Everything runs in .venv, which each target sets up when it is missing or out of date.
# `make` lists the targets. Any Python from 3.11 on: `make book PYTHON=python3.12`.

PYTHON ?= python3

VENV  := .venv
BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
HTML  := book/_build/html/index.html
JSON  := book/_build/ledger.json
PAGES := $(CURDIR)/book/_build/.jupyter_cache
PEERS := $(VENV)/.peers

# Caches of matplotlib and IPython stay inside .venv: a first build neither writes to the home
# folder nor prints "building the font cache" into a notebook, which would fail the book. The
# configuration written there keeps each kernel's notice about its local socket out of the output.
export MPLCONFIGDIR := $(CURDIR)/$(VENV)/cache/matplotlib
export IPYTHONDIR := $(CURDIR)/$(VENV)/cache/ipython
# Silences a remark of the notebook kernel's debugger about frozen modules.
export PYDEVD_DISABLE_FILE_VALIDATION := 1
# The notebooks choose their own plotting backend.
unexport MPLBACKEND

.DEFAULT_GOAL := help
.PHONY: help setup peers demo picture book test test-all bench verify names checkouts survey check emitted pack format clean distclean
.DELETE_ON_ERROR:

help: ## list the targets
	@printf 'usage: make TARGET [PYTHON=python3.11]\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | \
	  awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

# In a terminal the build says which page it is at; a log has the warnings alone.
QUIET := $(shell test -t 2 || echo --quiet)

book: $(STAMP) ## the main job: verify every claim, then execute and build the book
	@echo "==> verifying the claims"
	@mkdir -p $(dir $(JSON))
	@$(BIN)/seeds-verify --json $(JSON)
	@echo "==> executing every page again, as many at a time as there are processors"
	@rm -rf $(PAGES) book/_build/html/reports && mkdir -p $(PAGES)
	@$(BIN)/jcache notebook -p $(PAGES) add -r myst_nb_md $$(grep -l '{code-cell}' book/*.md) >/dev/null
	@OMP_NUM_THREADS=1 $(BIN)/jcache project -p $(PAGES) execute -e local-parallel -t 180
	@echo "==> building the book"
	@OMP_NUM_THREADS=1 $(BIN)/jupyter-book build book/ -W -n --keep-going --all $(QUIET) || { \
	  cat book/_build/html/reports/*.err.log 2>/dev/null; exit 1; }
	@echo "==> comparing the verdicts on the pages with the record"
	@$(BIN)/pytest -m rendered -q -r fE tests/book
	@$(BIN)/python -c 'import collections, json; \
	  c = collections.Counter(claim["verdict"] for claim in json.load(open("$(JSON)"))); \
	  print("==> claims:", ", ".join(f"{n} {v}" for v, n in c.most_common()))'
	@echo "==> the front page: $(HTML)"

# Processes of one thread each; a file's tests stay together, as they share what they compute.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --maxprocesses 4 --dist loadfile

test: $(STAMP) ## run the tests, but for the slow ones
	$(PYTEST) -m "not slow"

test-all: $(STAMP) ## run the slow tests, which `make test` leaves out
	$(PYTEST) -m slow

demo: $(STAMP) ## a first picture and a first audit, in less than a minute, both in the folder demo
	@mkdir -p demo
	@echo "==> drawing garments by three samplers, and the orders of these: 10 seconds"
	@$(BIN)/python -m gpu_runs.demo demo/garments.png
	@echo "==> auditing the six lines of book/_static/my_sampler.py, which should have weak order 2: 10 seconds"
	@$(BIN)/seeds-audit "book/_static/my_sampler.py:sample?takes=model,x,levels" --expect weak=2 \
	  --json demo/audit.json --plot demo/audit.png || test $$? -eq 1
	@echo "==> see demo/garments.png and demo/audit.png"

picture: $(STAMP) ## draw the README's picture again
	@$(BIN)/python -m gpu_runs.demo book/_static/garments.png

bench: $(STAMP) ## run the benchmarks, which `make test` leaves out
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/benchmarks --benchmark-only

verify: $(STAMP) ## check every claim of the ledger and print its verdict
	@$(BIN)/seeds-verify

names: $(STAMP) ## list the names of the claims again, after one was added or renamed
	@$(BIN)/python -c 'from proofs_checks.catalogue import write_names; write_names()'

# Repositories that are no packages, where an adapter pins their commits.
SEEDS_CHECKOUTS ?= $(CURDIR)/.checkouts
export SEEDS_CHECKOUTS

checkouts: $(STAMP) ## fetch the repositories whose samplers the audit runs from checkouts
	@$(BIN)/python -m proofs_checks.audit.fetching "$(SEEDS_CHECKOUTS)"

survey: $(PEERS) ## audit the samplers of other libraries, as far as they are there; write book/survey.json
	$(BIN)/python -m proofs_checks.audit.survey book/survey.json

check: $(STAMP) ## lint, formatting and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

emitted: $(STAMP) ## emit the code that plans run anew, after a change of a formula or a method
	$(BIN)/python -m seeds_theory.emit.library

pack: $(STAMP) ## write the nodes for ComfyUI to dist/seeds-samplers, a folder for its custom_nodes
	@mkdir -p dist && rm -rf dist/seeds-samplers
	@$(BIN)/seeds-export seeds-3 --to comfyui --out dist/seeds-samplers

format: $(STAMP) ## rewrite the sources in the project's format
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove the built book and all caches; keep .venv
	rm -rf book/_build build demo dist *.egg-info .benchmarks .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## clean, and remove .venv too
	rm -rf $(VENV)

peers: $(PEERS) ## install the other libraries that the audit knows

setup: $(STAMP) ## set up .venv (the other targets do it by themselves)

$(STAMP): pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null 2>&1 || { \
	  echo "error: no $(PYTHON) on the PATH; name a Python 3.11 or newer: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is older than Python 3.11; name a newer one: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "error: $(PYTHON) lacks the venv module; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@echo "==> setting up $(VENV): takes about 3 minutes, once"
	@test -x $(BIN)/pip || $(PYTHON) -m venv --clear $(VENV)
	@echo "    1 of 3: torch, the largest part"
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt torch
	@echo "    2 of 3: everything else"
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[all,book,test,dev]'
	@echo "    3 of 3: the caches of matplotlib and IPython"
	@mkdir -p $(IPYTHONDIR)/profile_default
	@echo 'c.IPKernelApp.log_level = "CRITICAL"' > $(IPYTHONDIR)/profile_default/ipython_kernel_config.py
	@$(BIN)/python -c 'import matplotlib.pyplot' 2>/dev/null
	@touch $@

# These four ask for torchvision and more, which their samplers do not need.
$(PEERS): $(STAMP)
	@echo "==> installing the other libraries that the audit knows in $(VENV)"
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt -e '.[all,audit]'
	@$(BIN)/pip install -qq --disable-pip-version-check -c constraints.txt --no-deps k-diffusion azula deepinv sbi
	@touch $@
