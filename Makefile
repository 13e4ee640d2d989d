# Needs a POSIX shell, make, and Python >= 3.11 with pip and venv; everything else is made here.
# `make run ARGS="--seed 7"` hands arguments on; `make PYTHON=/path/to/python3.12 ...` chooses the Python.

ifndef PYTHON
PYTHON := $(shell for p in python3 python3.13 python3.12 python3.11; do \
	"$$p" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$p" && exit; done; echo python3)
endif
SETUP  := $(PYTHON) scripts/setup.py
BIN    := $(CURDIR)/.venv/bin
JOBS   ?= 2
ARGS   ?=

export PATH := $(BIN):$(PATH)

.PHONY: help setup tools setup-contracts setup-peers setup-mutants run run-purpleflea test test-python test-contracts audit-contracts \
	bench soak mutants lint types layers verify-cases docs picture lock clean

help:            ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 20

setup:           ## make .venv alone, with .venv/bin/mev-agent
	@$(SETUP) environment

tools:           ## make .venv and the npm tools (Foundry, solc, protocol contracts)
	@$(SETUP) environment tools

setup-contracts: ## make .venv-contracts (halmos, slither)
	@$(SETUP) environment contracts

setup-mutants: setup ## make .venv-mutants (mutmut)
	@$(SETUP) mutants

setup-peers:     ## make the environments of the foreign clients and engines that the tests use
	@$(SETUP) environment tools peers engines

run: tools       ## run the agent on the built-in slice of mainnet
	@$(BIN)/mev-agent run $(ARGS)

run-purpleflea: setup ## trade an account on a simulated order-book venue, with a cut connection on the way
	@$(BIN)/mev-agent run --config examples/purpleflea.toml $(ARGS)

test: tools setup-peers test-contracts test-python ## everything: Solidity, Python, end to end

test-contracts: tools ## the Solidity tests, on both builds of the executor
	@$(BIN)/python scripts/test_contracts.py

test-python: tools ## the Python tests
	@$(BIN)/pytest -n $(JOBS) --dist loadgroup $(ARGS)

audit-contracts: tools setup-contracts ## halmos proofs and slither, minutes
	@$(BIN)/python scripts/test_contracts.py --proofs

bench: tools     ## measure and judge every gate; JSON under build/bench (ARGS=--anyway on a busy machine)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r scripts/locks/bench.lock
	@$(BIN)/python -m benchmarks $(ARGS)

soak: tools      ## the long tests: 10,000 simulated worlds, random swaps on the contracts, 200,000 orders, slow Python tests, deep fuzzing
	@$(BIN)/python scripts/soak_worlds.py --seeds 0..10000
	@$(BIN)/python scripts/random_swaps.py --count 20000
	@$(BIN)/python scripts/soak_orders.py --orders 200000 --faults
	@$(BIN)/pytest -m slow $(ARGS)
	@$(BIN)/python scripts/test_contracts.py --deep

mutants: setup setup-mutants ## break the core in 10,000 places and see that its tests notice
	@nice $(BIN)/python scripts/measure_mutation.py --jobs $(JOBS) $(ARGS)

lint: setup      ## ruff, formatting, import layers, types
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(MAKE) --no-print-directory layers types

layers: setup    ## imports run downwards only
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports

types: setup     ## mypy, strict, on the pure packages
	@$(BIN)/mypy

verify-cases: setup ## the archived blocks are there and hold together
	@$(BIN)/python scripts/verify_cases.py

docs: setup      ## write the generated reference pages
	@$(BIN)/python scripts/make_reference.py

picture: tools   ## draw the README's picture anew, from a run
	@$(BIN)/python scripts/make_picture.py

lock:            ## resolve the locks anew, without an index named in them
	@$(BIN)/python scripts/make_locks.py

clean:           ## remove what make made, but for the environments
	@rm -rf build .pytest_cache .ruff_cache .mypy_cache .hypothesis .import_linter_cache
