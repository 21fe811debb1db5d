# Needs only Python 3.11 or newer. Everything is installed into .venv, by the versions of
# constraints.txt. Java is not needed: Sail computes.

VENV := .venv
PORT ?= 3000
ROUNDS ?= 20
SEED ?= 1
BIN := $(VENV)/bin

# What the build itself needs has its version from there, too; pip 25.3 and newer read the second one.
export PIP_CONSTRAINT := constraints.txt
export PIP_BUILD_CONSTRAINT := constraints.txt

# The first interpreter that runs and is new enough; `make PYTHON=/path/to/python3.12` overrides.
# A test run is needed because some version managers put names into PATH that do not run.
ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	if $$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	then echo $$python; break; fi; done)
endif

# What is installed is compiled where it is first imported (see INSTALL below). Where Python may not keep that,
# each process compiles Dagster and Spark's Python anew: to load the definitions takes 6.5 s instead of 2.5 s.
unexport PYTHONDONTWRITEBYTECODE

# Stamps: an install is repeated only when what is to be installed has changed.
RUN := $(VENV)/.installed-run
DEV := $(VENV)/.installed-dev

.PHONY: help demo dev ui test test-slow chaos bench lint format types validate docs clean test-jvm test-sail test-other \
	test-runs test-waits postgresql

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(RUN) ## Ten days of made-up events through Dagster, and what came out
	@$(BIN)/vidagg demo

dev: $(RUN) ## Dagster's UI on the demo's tables and history (after `make demo`)
	@$(BIN)/vidagg ui --demo --port $(PORT)

ui: $(RUN) ## Dagster's UI on your own events (after `vidagg init`)
	@$(BIN)/vidagg ui --port $(PORT)

test: lint ## Everything CI runs
	$(MAKE) --no-print-directory --jobs=6 $(SYNC) types validate test-jvm test-sail test-other test-runs test-waits

# Side by side: types need one core, and the last two wait much of their time, and use what the others
# leave. Their output comes when they end, where make can hold it back (GNU make 4).
SYNC := $(if $(filter output-sync,$(.FEATURES)),--output-sync=target)
test-jvm test-sail test-other test-runs test-waits: $(DEV)
test-waits test-slow: postgresql
# Java's second compiler takes a third of the processor time of a JVM that lives as shortly as here.
# Without it the cache of compiled code is too small by default.
test-jvm test-sail test-other test-runs test-waits: export SPARK_SUBMIT_OPTS := \
	-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m
# What is in which lane: vidagg_dagster_tests/support/lanes.py
test-jvm: ## The tests that compute on JVM Spark
	$(BIN)/python -m pytest -q --lane=jvm --durations=10

test-sail: ## The tests of the arithmetic, the steps and the tables that need no JVM
	$(BIN)/python -m pytest -q --lane=sail --durations=10

test-other: ## All other tests that need no JVM
	$(BIN)/python -m pytest -q --lane=other --durations=10

test-runs: ## The tests of whole runs through Dagster, and of what watches them
	$(BIN)/python -m pytest -q --lane=runs --durations=10

test-waits: ## The tests that wait for jobs of a workspace, and those on PostgreSQL
	$(BIN)/python -m pytest -q --lane=waits --durations=10

chaos: $(DEV) ## Kills, full disks, races, wrong clocks, files that come and go (half an hour at most)
	$(BIN)/python -m vidagg_dagster_tests.support.chaos --rounds $(ROUNDS) --seed $(SEED)

test-slow: $(DEV) ## Fault injection, backfills through the UI's server, the README's commands
	$(BIN)/python -m pytest -q --lane=slow

# Some tests want PostgreSQL from the system's package; where it cannot be installed they are skipped.
postgresql:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null || { \
		apt-get update -qq && apt-get install -y -qq --no-install-recommends postgresql; \
	} >/dev/null 2>&1 || echo "PostgreSQL could not be installed: its tests are skipped"

bench: $(DEV) ## Measure against DuckDB and others, and write docs/benchmarks.md (an hour)
	$(BIN)/python -m benchmarks $(GROUPS)
	$(BIN)/python -m tools.executive_summary

lint: $(DEV) ## Style, and that imports go down the floors only
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache --no-logo

types: $(DEV) ## Types
	$(BIN)/mypy

validate: $(DEV) ## The code location loads
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/dg check defs

format: $(DEV) ## Rewrite the files in the house style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(DEV) ## Write the generated pages anew
	$(BIN)/python -m tools.settings_reference
	$(BIN)/python -m tools.metrics_page
	$(BIN)/python -m tools.quick_reference
	$(BIN)/python -m tools.executive_summary
	$(BIN)/python -m tools.databricks_dashboard
	$(BIN)/python -m tools.scenarios_page
	$(BIN)/python -m tools.kql_pages
	$(BIN)/python -m tools.vocabularies_page
	$(BIN)/python -m tools.insight_pictures

clean: ## Remove everything that the targets above made
	rm -rf $(VENV) demo_data benchmark_data build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "vidagg needs Python 3.11 or newer, and there is none in PATH." \
		"Install one, or say where it is: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); echo "No virtual environment could be made." \
		"On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

# Modules are compiled when they are first imported: most of what is installed never is, and to compile all
# of it takes half of the time.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile \
	--constraint constraints.txt --editable

$(RUN): pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "Installing into $(VENV): Dagster, Sail, Spark's Python (1 to 2 minutes, 1.4 GB) ..."
	@$(INSTALL) '.[local,orchestration,spark]'
	@touch $@

# It has all that $(RUN) has. Where both are wanted, they must not install at the same time.
$(DEV): pyproject.toml constraints.txt | $(VENV)/bin/python $(if $(filter demo dev ui,$(MAKECMDGOALS)),$(RUN))
	@echo "Installing into $(VENV): the project and the tools of a developer (2 minutes, 1.8 GB) ..."
	@$(INSTALL) '.[local,orchestration,spark,databricks,alerts,azure,objects,experiments,formats,ml,postgres,dev,bench]'
	@touch $@ $(RUN)
