# minicnn: every command makes what it needs. On a machine with only Python (3.11 to 3.13) and make, start with: make demo
#
#   make test PYTHON=python3.12     another interpreter for .venv
#   make test ARGS="-k conv2d -x"   arguments for pytest (bench and demo take ARGS too)
#   make bench THREADS=4            threads for both engines (2 unless told)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test lint format bench bench-pytest peers docs course venv clean

THREADS ?= 2
ARGS    ?=
BIN     := .venv/bin

# The first interpreter that runs, is of a supported version and can make environments. It has to be tried: a version
# manager may put a python3.13 on the path that only prints "not installed".
SUPPORTED := import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
CANDIDATES = $(or $(PYTHON),python3.13 python3.12 python3.11 python3 python)

# Thread pools are pinned before anything loads them: OpenBLAS and OpenMP, Numba, TensorFlow.
PINNED = OMP_NUM_THREADS=$(THREADS) OPENBLAS_NUM_THREADS=$(THREADS) MKL_NUM_THREADS=$(THREADS) \
         NUMBA_NUM_THREADS=$(THREADS) TF_NUM_INTRAOP_THREADS=$(THREADS) TF_NUM_INTEROP_THREADS=1

PIP     = $(BIN)/python -m pip --disable-pip-version-check
INSTALL = $(PIP) install --quiet -c constraints.txt --build-constraint constraints.txt

help: ## this list
	@echo "minicnn: convolutional networks from scratch, compared with Keras layer by layer. Commands:"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

demo: .venv/.demo ## both networks on real faces, from photograph to report (installs what it needs)
	$(BIN)/minicnn demo $(ARGS)

test: .venv/.dev ## every test, Keras parity included
	$(BIN)/python -m pytest $(ARGS)

lint: .venv/.dev ## ruff, mypy --strict and the import contract
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

format: .venv/.dev ## let ruff lay out the code and mend what it can
	$(BIN)/python -m ruff check --fix .
	$(BIN)/python -m ruff format .

bench: .venv/.dev ## minicnn against every installed framework (ARGS=--quick), each in its own process
	$(BIN)/minicnn bench --threads $(THREADS) $(ARGS)

bench-pytest: .venv/.dev ## every layer and both networks against Keras, threads pinned
	$(PINNED) $(BIN)/python -m pytest benchmarks --benchmark-only $(ARGS)

peers: .venv/.dev ## install the other frameworks for `make bench`: PyTorch, ONNX Runtime, OpenVINO, ncnn, MNN
	$(INSTALL) -e '.[peers]'

docs: .venv/.dev ## the documentation as a site in site/, built strictly: a warning is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

course: .venv/.dev ## bring the notebooks of the course and their scripts together, whichever was changed last
	$(BIN)/python -m jupytext --sync notebooks/0*.py

venv: .venv/.dev ## only make .venv, with everything for development

clean: ## remove .venv, caches and builds (runs/ stays)
	rm -rf .venv build dist site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Each stamp is newer than the files that say what to install, so a second `make` installs nothing.

.venv/.demo: .venv/.pip pyproject.toml constraints.txt
	@echo "Installing minicnn with Keras, dlib and OpenCV: some minutes the first time, nothing the next."
	$(INSTALL) -e '.[keras,faces,report]'
	@touch $@

.venv/.dev: .venv/.pip pyproject.toml constraints.txt
	@echo "Installing minicnn with everything for development: some minutes the first time, nothing the next."
	$(INSTALL) --group dev -e '.[all]'
	@touch .venv/.demo $@

# An environment that works is kept. pip learnt dependency groups in 25.1 and build constraints in 25.3; the one that comes
# with Python may be older.
.venv/.pip: constraints.txt
	@$(BIN)/python -c '$(SUPPORTED)' 2>/dev/null && exit 0; \
	for python in $(CANDIDATES); do \
	  if "$$python" -c '$(SUPPORTED)' >/dev/null 2>&1; then \
	    echo "Making .venv with $$("$$python" --version) ($$python)"; \
	    exec "$$python" -m venv --clear .venv; \
	  fi; \
	done; \
	echo "minicnn needs Python 3.11, 3.12 or 3.13 with its venv module (on Debian and Ubuntu: the package python3-venv)." >&2; \
	echo "Tried: $(CANDIDATES). Name another with: make PYTHON=/path/to/python3.12 ..." >&2; \
	exit 1
	@$(PIP) install --quiet --upgrade -c constraints.txt pip
	@touch $@
