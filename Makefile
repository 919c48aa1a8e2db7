# `make` alone lists the targets. Each works from a fresh clone: the first one run makes .venv and installs what is pinned.

SIM ?=
TB ?=
SEED ?= 1
SEEDS ?= 1000
CONFIG ?= tiny
WAVES ?=
BLOCK ?=
MUTANTS ?= 100
PYTHON ?= python3
JOBS ?= $(shell nproc)

# A file of tests stays in one process: what its tests share is made once. In the order of the folders, as the long ones
# (tests/asm, tests/cosim) stand first.
PYTEST = -m pytest -n "$(JOBS)" --dist loadfile --no-loadscope-reorder

PY := .venv/bin/python
STAMP := .venv/.installed

# Byte-stable Verilog: no random set order, and always the yosys that is pinned.
export PYTHONHASHSEED := 0
export AMARANTH_USE_YOSYS := builtin

.DEFAULT_GOAL := help
.PHONY: help setup sim digits test lint verify regress coverage formal mutate bench network verilog synth clean distclean align links systems

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  variables:      SIM=icarus|verilator TB=<bench> SEED=<n> CONFIG=tiny|board|groqchip WAVES=1 SEEDS=<n> JOBS=<n> BLOCK=<block> MUTANTS=<n>"

$(STAMP): pyproject.toml requirements.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" scripts/setup.sh

setup: $(STAMP) ## Make .venv and find the simulators

sim: $(STAMP) ## Run the benches and the digits on the RTL, in Icarus and Verilator
	@$(PY) -m tb --sim "$(SIM)" --bench "$(TB)" --seed "$(SEED)" --config "$(CONFIG)" $(if $(filter-out 0,$(WAVES)),--waves)

digits: $(STAMP) ## Classify the handwritten digits on golden, Icarus and Verilator
	@$(PY) -m tb.digits

test: $(STAMP) ## Run every test, with reduced counts
	@$(PY) $(PYTEST)

verify: $(STAMP) ## Run every test with the full counts and the proofs, mutate the blocks, synthesise board
	@TSP_FULL=1 $(PY) $(PYTEST)
	@$(PY) -m tb.formal --jobs "$(JOBS)"
	@$(PY) -m tb.mutation
	@$(PY) -m tb.synth

regress: $(STAMP) ## Run SEEDS random programs on golden and both simulators
	@$(PY) -m tb.regress --seeds "$(SEEDS)" --config "$(CONFIG)"

coverage: $(STAMP) ## Run random programs and report functional coverage
	@$(PY) -m tb.coverage

formal: $(STAMP) ## Prove blocks of the RTL by induction, and refute each proof with a bug in it
	@$(PY) -m tb.formal --jobs "$(JOBS)"

bench: $(STAMP) ## Measure speed and size
	@$(PY) -m tb.bench

align: $(STAMP) ## Simulate systems of chips with clocks of their own: HACs, latencies, margins, starts
	@$(PY) -m tb.align

systems: $(STAMP) ## Simulate systems of whole chips with clocks of their own: sums along trees, collectives of nodes
	@$(PY) -m tb.systems

links: $(STAMP) ## Count what becomes of packets of a link with wrong bits
	@$(PY) -m tb.links

mutate: $(STAMP) ## Plant mistakes in every block's Verilog, and count those that its benches notice
	@$(PY) -m tb.mutation --block "$(BLOCK)" --count "$(MUTANTS)"

network: $(STAMP) ## Compute hops, bandwidth, routes and aligned clocks of 264 and of 10,440 chips
	@$(PY) -m tb.network

verilog: $(STAMP) ## Write the Verilog of CONFIG to build/verilog/CONFIG
	@.venv/bin/tsp verilog --config "$(CONFIG)" -o "build/verilog/$(CONFIG)"

# Without CONFIG it is board, the preset made for the part.
synth: $(STAMP) ## Synthesise CONFIG for the ECP5-85F and count what it takes
	@$(PY) -m tb.synth --config "$(if $(filter file,$(origin CONFIG)),board,$(CONFIG))"

lint: $(STAMP) ## Check style, types and layers
	@.venv/bin/ruff check .
	@.venv/bin/mypy
	@.venv/bin/lint-imports

clean: ## Remove everything built
	rm -rf build dist

distclean: clean ## Remove .venv too
	rm -rf .venv
