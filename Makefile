# The one door: `make demo` runs the main job, `make test` proves the tree.
# Both set up their own .venv from pinned packages and ask nothing.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
STAMP_DEMO := $(VENV)/.installed-demo
STAMP_ALL := $(VENV)/.installed-all

# Two OpenMP threads on a busy two-core machine are several times slower than
# passive ones; Qt stays off screen.
export OMP_WAIT_POLICY := PASSIVE
export KMP_BLOCKTIME := 0
export QT_QPA_PLATFORM ?= offscreen
# The docs theme advertises its successor on every build otherwise.
export NO_MKDOCS_2_WARNING := 1

.PHONY: demo test lint types imports unit docs format bench clean help

help:
	@echo "make demo    build a shot, fill it through the server, the node and the panel"
	@echo "make test    linters, types, dependency rules, tests, docs"
	@echo "make lint | types | imports | unit | docs    one part of make test"
	@echo "make format  apply the formatter"
	@echo "make clean   remove .venv and everything generated"

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(STAMP_DEMO): pyproject.toml constraints.txt | $(BIN)/python
	$(PIP) install -c constraints.txt -e '.[server,demo]'
	$(BIN)/python examples/qt_libraries.py
	@touch $@

$(STAMP_ALL): pyproject.toml constraints.txt $(STAMP_DEMO)
	$(PIP) install -c constraints.txt -e '.[server,demo,diffusion,dev,docs]'
	@touch $@

demo: $(STAMP_DEMO)
	$(BIN)/python examples/demo.py --out demo_out

test: lint types imports unit docs

lint: $(STAMP_ALL)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP_ALL)
	$(BIN)/mypy

imports: $(STAMP_ALL)
	$(BIN)/lint-imports

unit: $(STAMP_ALL)
	$(BIN)/python -m pytest

docs: $(STAMP_ALL)
	$(BIN)/mkdocs build --strict

format: $(STAMP_ALL)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) site demo_out benchmark_out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
