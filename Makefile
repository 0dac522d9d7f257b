# The two commands a newcomer needs are `make demo` and `make test`; both do all the set-up.
# PYTHON=python3.12 takes another interpreter; DEMO="--seed 7" hands options to the demo.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help demo feeds test lint check bench clean

help:  ## this list
	@sed -n 's/^\([a-z]*\):.*##/  make \1:/p' Makefile

demo:  ## the whole system on a simulated market: no key, no network needed once installed
	@scripts/setup core
	@.venv/bin/pegline demo $(DEMO)

feeds:  ## install what talks to exchanges and quote sources (for `pegline run` and `record`)
	@scripts/setup feeds

test:  ## everything that is tested; installs system packages where it may
	@scripts/setup all
	@scripts/system
	@scripts/chain
	@.venv/bin/python -m pytest -q -n 4 --dist loadfile --benchmark-disable $(PYTEST)

lint:  ## format, lint, types, import contracts
	@scripts/setup all
	@scripts/check --no-tests

check:  ## lint and test, as before a commit
	@scripts/setup all
	@scripts/chain
	@scripts/check

bench:  ## how fast, against whom (minutes)
	@scripts/setup all
	@.venv/bin/python -m benchmarks.run

clean:  ## remove what can be made again
	rm -rf .venv tests/chain/node_modules .cache .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .benchmarks dist
