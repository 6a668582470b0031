# `make` lists what there is. Everything runs in .venv, which any target sets up when it is missing or stale.
SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ALERTS := $(basename $(notdir $(wildcard notebooks/[A-Z]*.ipynb)))
EVIDENCE ?= evidence

.DEFAULT_GOAL := help
.PHONY: help setup demo test check jupyter notebooks record docs bench lab-setup lab lab-test lab-matrix lock clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/.ready: requirements.lock pyproject.toml
	@sh tools/setup.sh "$(PYTHON)" "$(VENV)"
	@touch $@

setup: $(VENV)/.ready  ## a virtual environment with everything pinned (uv where there is one, else pip)

demo: setup  ## investigate the bundled incidents, without any server, and say where the evidence is
	@set -e; for alert in $(ALERTS); do $(BIN)/runbook run "$$alert" --environment demo --evidence "$(EVIDENCE)" --brief; done

test: setup  ## the quick tests, nbval's comparison of the notebooks included
	$(BIN)/python -m pytest -q -n auto --dist loadscope -m "not lab" tests
	$(BIN)/python -m pytest -q --nbval --nbval-current-env notebooks

check: setup  ## style, types, layers, lock
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

jupyter: setup  ## JupyterLab on the notebooks, on loopback
	$(BIN)/jupyter lab --ip 127.0.0.1 --notebook-dir notebooks

notebooks: setup  ## run the notebooks on their recordings and keep the outputs
	$(BIN)/python -m tests.refresh_notebooks

record: setup  ## take the bundled recordings anew from the lab
	$(BIN)/python -m tests.lab.scenarios.record

docs: setup  ## write the generated pages of docs/ anew: what is covered, and the settings
	$(BIN)/python -m tests.coverage
	$(BIN)/python -m tests.settings_reference

bench: setup  ## compare with what one would use instead
	$(BIN)/python -m tests.bench

lab-setup: setup  ## install and build the real servers of the lab (Debian; once, about 12 minutes)
	$(BIN)/python -m tests.lab.setup

lab: setup  ## keep the lab running for a person; Ctrl-C ends all of it
	$(BIN)/python -m tests.lab

lab-test: lab-setup  ## the tests on real servers
	$(BIN)/python -m pytest -q -m lab tests

lab-matrix: setup  ## every fault over many seeds: which cause comes first
	$(BIN)/python -m tests.lab.scenarios.matrix

lock:  ## pin and hash every dependency anew (needs uv)
	uv pip compile --universal --python-version 3.11 --all-extras --generate-hashes --no-emit-index-url -q -o requirements.lock pyproject.toml

clean:  ## remove what was made here, but never evidence
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis lib/*.egg-info
