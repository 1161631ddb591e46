# Everything a developer does. It needs Python 3.11 or newer, pip and make, and nothing else:
# `.venv` is made on the first call and brought up to date when the pins change.
#
#   make PYTHON=python3.12 test      another Python (after `make clean`)
#   make test ARGS="-k knapsack"     arguments for pytest

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
READY := $(VENV)/.ready
BENCH_READY := $(VENV)/.ready-bench
PACKAGES := adapters cli planner policies
BENCHMARKS = $(sort $(subst /,.,$(basename $(shell grep -l '__main__' tests/bench/*.py))))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test soak referees lint typecheck bench notebooks lock clean

help: ## Say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## Train on a cluster that costplan holds, with one interruption, or two where it takes longer than 32 s
	@$(BIN)/python examples/fraud/demo.py

test: $(READY) ## Run all tests
	@$(BIN)/python -m pytest --quiet --numprocesses 2 --dist loadscope $(ARGS)

soak: $(READY) ## Run 10,000 fault campaigns; takes one to two hours
	@$(BIN)/python -m tests.bench.soak --worlds 10000 $(ARGS)

referees: $(READY) ## Hold FOCUS files against programs of others; makes .ref on Python 3.12 once
	@$(BIN)/python -m pytest --quiet tests/finance/test_focus_referees.py $(ARGS)

lint: $(READY) ## Check style and formatting
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

typecheck: $(READY) ## Check types
	@mkdir -p .types/costplan
	@for name in $(PACKAGES); do ln -sfn ../../$$name .types/costplan/$$name; done
	@MYPYPATH=.types $(BIN)/mypy

bench: $(BENCH_READY) ## Run the benchmarks; takes minutes
	@for name in $(BENCHMARKS); do echo "== $$name"; \
		$(BIN)/python -m $$name || echo "$$name ended with $$?: a figure is above its goal"; done

notebooks: $(READY) ## Write the notebooks of the examples from their scripts
	@$(BIN)/python examples/notebooks.py

lock: $(READY) ## Resolve the dependencies anew and write them to requirements.lock
	@$(PIP) install uv
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --extra dev \
		--no-emit-index-url --no-emit-find-links --fork-strategy fewest \
		--custom-compile-command 'make lock' --output-file requirements.lock pyproject.toml

clean: ## Remove everything that make made
	@rm -rf $(VENV) .ref .ref.lock .spark .spark.lock .types .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
	@find $(PACKAGES) tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Some systems split ensurepip from Python; there pip puts itself into the new environment.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v >= (3, 11) else \
		"costplan needs Python 3.11 to 3.13, and $(PYTHON) is %d.%d; try make PYTHON=python3.12" % v)'
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; v > (3, 13) and print( \
		"note: costplan is tested on Python 3.11 to 3.13, and $(PYTHON) is %d.%d" % v)'
	@echo "making $(VENV), once"
	@$(PYTHON) -m venv $(VENV) >/dev/null 2>&1 || { \
		$(PYTHON) -m venv --clear --without-pip $(VENV) && \
		$(PYTHON) -m pip --quiet --quiet --python $(BIN)/python install pip; }

$(READY): pyproject.toml requirements.lock | $(BIN)/python
	@echo "installing the packages of requirements.lock into $(VENV)"
	@$(PIP) install --requirement requirements.lock
	@$(PIP) install --no-deps --editable .
	@touch $@

$(BENCH_READY): $(READY)
	@$(PIP) install --constraint requirements.lock --editable '.[bench]' || \
		echo "note: the bench extra cannot be installed here; what needs it is skipped"
	@touch $@
