# Two commands for a new user: `make demo` and `make test`. Both do all of their set-up.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# pip compiles what it installs, but not what it only points to: without this the first start would do it.
COMPILE = $(BIN)/python -m compileall -q cockpit widgets tools

.PHONY: demo test soak coverage bench replay lint types check clean

demo: $(VENV)/.demo
	$(BIN)/cockpit --demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal -rs

soak: $(VENV)/.dev
	COCKPIT_KILLS=200 $(BIN)/python -m pytest -s tests/faults/test_daemon_kills.py
	COCKPIT_ORPHANS=50 $(BIN)/python -m pytest -s tests/faults/test_daemon_orphans.py
	$(BIN)/python -m tests.benchmarks.bench_steady 300

coverage: $(VENV)/.dev
	$(BIN)/python -m pytest -n 4 --dist worksteal --cov --cov-report=term:skip-covered

bench: $(VENV)/.dev
	$(BIN)/python -m tests.benchmarks

replay: $(VENV)/.dev
	$(BIN)/python -m tests.models.replay

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/bandit -q -ll -c pyproject.toml -r cockpit widgets tools

types: $(VENV)/.dev
	$(BIN)/mypy

check: lint types test

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[demo]'
	$(COMPILE)
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	$(COMPILE)
	touch $@ $(VENV)/.demo

$(BIN)/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "cockpit needs Python 3.11 or newer; set PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)

clean:
	rm -rf $(VENV) build dist
