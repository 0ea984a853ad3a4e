# Two commands matter: `make demo` and `make test`. Everything they need, they install and say so.
PYTHON ?=
export PYTHON
RUN = PYTHONPATH=operator .venv/bin
CLUSTER ?=
export CLUSTER

.DEFAULT_GOAL := help
.PHONY: help bootstrap demo test test-slow lint fmt unit api e2e check cluster-up cluster-down generate bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

bootstrap: ## Make .venv from uv.lock
	@./tools/bootstrap

demo: bootstrap ## Bring up a cluster, install the operator, judge a good and a bad application
	@.venv/bin/python e2e/demo.py

test: bootstrap ## Everything CI runs: lint, unit, api and e2e suites, with times and what was skipped
	@.venv/bin/python tools/suites.py lint unit api e2e

test-slow: bootstrap ## Real-time idle run, repetitions, scale (an hour and more)
	@.venv/bin/python tools/suites.py slow

lint: bootstrap ## ruff, mypy, import contracts
	@.venv/bin/python tools/suites.py lint

fmt: bootstrap ## Format and fix what can be fixed
	@.venv/bin/ruff format operator tests e2e tools && .venv/bin/ruff check --fix operator tests e2e tools

unit: bootstrap ## Tests without network or cluster
	@.venv/bin/python tools/suites.py unit

api: bootstrap ## Tests against a real API server without nodes
	@.venv/bin/python tools/suites.py api

e2e: bootstrap ## Tests against real pods (CLUSTER=current|kind|local)
	@.venv/bin/python tools/suites.py e2e

check: bootstrap ## What to run before a commit: lint and unit
	@.venv/bin/python tools/suites.py lint unit

cluster-up: bootstrap ## Bring up the demo's cluster
	@.venv/bin/python e2e/clusters.py up

cluster-down: ## Take it down; leaves nothing behind, also after a crash
	@python3 e2e/clusters.py down

generate: bootstrap ## Regenerate crds/, the chart's copies and manifests/
	@.venv/bin/python tools/generate.py

bench: bootstrap ## Benchmarks, side by side with their yardsticks
	@.venv/bin/python benchmarks/run.py

clean: ## Remove .venv and caches of this checkout (not the user's build cache)
	@rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
