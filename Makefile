# `make` alone lists the targets. Everything runs in .venv; an active environment of yours is left alone.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help install demo check test pytest lint format docs clean

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
STAMP := .venv/.installed
# What the demo needs is a part of everything.
DEMO_STAMP := .venv/.installed-for-demo
PIP_INSTALL := $(BIN)/python -m pip install --no-input --disable-pip-version-check -c constraints.txt
# Both workers have to hash alike, to collect the same tests. Compiled code is kept: many processes are started.
PYTEST := PYTHONDONTWRITEBYTECODE= PYTHONHASHSEED=$${PYTHONHASHSEED:-$$RANDOM} $(BIN)/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

help: ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/' | expand -t 18

install: $(STAMP) ## make .venv with everything that is built and tested with (skipped when nothing changed)

$(STAMP): pyproject.toml lab/pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing everything into .venv (minutes)"
	@$(PIP_INSTALL) $$(test -t 1 || echo -qq) -e '.[dev,docs,local,mcp,otel,postgres,ray,ray-serve,redis,serve,spark,web]' -e lab
	@touch $@ $(DEMO_STAMP)

# Python compiles what is imported at its first import: far less than all that is installed.
$(DEMO_STAMP): pyproject.toml constraints.txt | $(BIN)/pip
	@echo "installing what the demo needs into .venv (a minute or two)"
	@$(PIP_INSTALL) $$(test -t 1 || echo -qq) --no-compile -e '.[serve,web]'
	@touch $@

$(BIN)/pip:
	@test -n "$(PYTHON)" || { echo "error: there is no python3 on the PATH; LatentCRS needs Python 3.11 or later." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "error: $(PYTHON) is older than Python 3.11; name another: make install PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -m venv .venv

demo: $(DEMO_STAMP) ## install no more than it needs, fetch a sample, train on it, and chat with it
	@$(BIN)/latentcrs demo $$(test -t 0 || echo --accept-terms)

check: install ## style, types, and the tests that want neither data nor models nor a browser: minutes
	@$(MAKE) --no-print-directory -j 2 lint pytest ONLY='-m quick'

test: install ## check style and types, and run every test
	@$(MAKE) --no-print-directory -j 2 lint pytest

# Types are checked by one process: it runs beside the tests.
pytest: install
	@$(PYTEST) $(ONLY)

lint: install ## ruff and mypy, changing nothing
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/python tests/rooms.py

format: install ## let ruff lay the code out
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

docs: install ## the documentation site, in build/site; what does not link ends it
	@$(BIN)/python tools/reference.py docs/reference tests/kept/format-1/bundle
	@$(BIN)/zensical build --strict

clean: ## remove .venv, caches and builds (data sets, models and the demo stay)
	rm -rf .venv .cache build dist .pytest_cache .ruff_cache .mypy_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
