# Every target makes its own environment in .venv from pyproject.toml.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
KILLS ?= 1000
MINUTES ?= 10
SEEDS ?= 1000
MOMENTS ?= 200
ONLY ?=
PEERS := .venv-peers
# Many tests wait for processes, so two more at a time than there are processors.
JOBS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)

ROOMS ?=

.PHONY: help env test long browser coverage lint types docs screenshots demo simulate crashes mutants power soak kept fuzz peers bench clean

help:
	@echo "make test    the test suite; with EVERY_MOMENT=1, every moment, seed and example"
	@echo "make coverage  how much of each room its own tests reach, or ROOMS='core codes'"
	@echo "make demo    twenty people get their secrets and files through kill -9"
	@echo "make long    the tests that take long for what they find"
	@echo "make browser  the console in Chromium, where it is installed"
	@echo "make thousand  the page docs/thousand.md, pasted, for PEOPLE=20"
	@echo "make shop    the page docs/shop.md, pasted; with Prometheus and Node where they are installed"
	@echo "make simulate  whole worlds with every fault, SEEDS=$(SEEDS) of them"
	@echo "make crashes  each point at which a process may die, and pairs of them (takes long)"
	@echo "make mutants  broken variants of Holdfast, each of which the simulator must find"
	@echo "make power   every state that a power cut can leave (some minutes)"
	@echo "make soak    the kill harness, KILLS=$(KILLS) kills, or HOURS=1"
	@echo "make kept    kill -9 at MOMENTS=$(MOMENTS) moments of large files to and from stock clients"
	@echo "make fuzz    broken input for everything that reads any, for MINUTES=$(MINUTES) minutes"
	@echo "make bench   peers and project side by side (some twenty minutes), or ONLY=name"
	@echo "make docs    the manual, in docs/_build/html"
	@echo "make screenshots  the pictures of the console in the manual, by Chromium"
	@echo "make lint    ruff and the import rules"
	@echo "make types   mypy --strict, and pyrefly for a second opinion"

env: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Holdfast needs Python 3.11 or newer; set PYTHON=python3.x" >&2; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[all]' --group dev
	@touch $@

# Compiled files are kept, whatever the environment says: each worker and each command that a test
# starts would compile everything again.
test long: export PYTHONDONTWRITEBYTECODE :=
# Nor may it hide that something is not flushed.
test long demo: export PYTHONUNBUFFERED :=
test: env
	$(BIN)/python -m pytest --quiet --numprocesses=$(JOBS) --dist=worksteal -m $(if $(EVERY_MOMENT),"","not long")

long: env
	$(BIN)/python -m pytest --quiet --numprocesses=$(JOBS) --dist=worksteal -m long

browser: export PYTHONDONTWRITEBYTECODE :=
browser: env
	BROWSER=1 $(BIN)/python -m pytest --quiet tests/console/test_chromium.py

coverage: env
	$(BIN)/python -m tests.own_coverage $(ROOMS)

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: env
	$(BIN)/mypy --strict
	$(BIN)/pyrefly check --python-interpreter-path=$(BIN)/python

docs: env
	$(BIN)/sphinx-build -W --keep-going -q -b html docs docs/_build/html

screenshots: env
	$(BIN)/python -m tests.console.screenshots docs/screenshots

demo: env
	$(BIN)/python -m tests.harness.demo

.PHONY: thousand
thousand: env
	$(BIN)/python -m tests.harness.thousand $(or $(PEOPLE),20)

.PHONY: shop
shop: env
	$(BIN)/python -m tests.harness.shop

simulate: env
	$(BIN)/python -m tests.simulation --seeds $(SEEDS)

crashes: env
	$(BIN)/python -m tests.simulation.crashes --pairs

mutants: env
	$(BIN)/python -m tests.simulation.mutants

power: env
	$(BIN)/python -m tests.power

soak: env
	$(BIN)/python -m tests.harness.soak --kills $(KILLS) $(if $(HOURS),--hours $(HOURS))

kept: export PYTHONDONTWRITEBYTECODE :=
kept: env
	$(BIN)/python -m tests.kill.kept --moments $(MOMENTS)

fuzz: env
	$(BIN)/python -m pip install --quiet --group fuzz || \
	  echo "Atheris cannot be installed here: fuzzing goes on without looking at coverage" >&2
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES)

# What Holdfast is compared with, each in an environment of its own; pyproject.toml has the versions.
peers: $(PEERS)/wormhole/.installed $(PEERS)/dbos/.installed

$(PEERS)/%/.installed: pyproject.toml
	$(PYTHON) -m venv $(PEERS)/$*
	$(PEERS)/$*/bin/python -m pip install --quiet --upgrade pip
	$(PEERS)/$*/bin/python -m pip install --quiet --group peer-$*
	@touch $@

bench: env peers
	$(BIN)/python -m tests.bench --peers $(PEERS) $(if $(ONLY),--only $(ONLY))

clean:
	rm -rf $(VENV) $(PEERS) docs/_build build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
