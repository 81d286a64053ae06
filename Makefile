# Each target makes its own virtual environment in .venv first. PYTHON chooses the
# interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-long lint style format-check imports types docs bench fuzz \
	kills soak format clean

help:
	@echo "make demo       train a small network on rendered rooms (8 minutes)"
	@echo "make test       run the tests (under 10 minutes)"
	@echo "make test-long  run the tests that take longer"
	@echo "make lint       check style, format, the direction of imports, and types"
	@echo "make types      check types only"
	@echo "make docs       build the documentation into site/"
	@echo "make bench      measure speed against PyTorch (about 20 minutes)"
	@echo "make fuzz       read damaged files of all kinds (5 minutes)"
	@echo "make kills      kill commands at random moments, and look at what they leave (10 minutes)"
	@echo "make soak       use everything for an hour, and look at what grows"
	@echo "make format     format the code"
	@echo "make clean      remove the virtual environment and site/"

$(VENV)/package: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test: $(VENV)/package
	$(BIN)/pip install --quiet --editable ".[test]"
	@touch $@

$(VENV)/docs: $(VENV)/package
	$(BIN)/pip install --quiet --editable ".[docs]"
	@touch $@

demo: $(VENV)/package
	$(BIN)/python train.py

test: $(VENV)/test
	$(BIN)/python -m pytest -m "not long" -n 2 --dist loadfile $(PYTEST_OPTIONS)

test-long: $(VENV)/test
	$(BIN)/python -m pytest -m long $(PYTEST_OPTIONS)

# The hooks of pre-commit run the same four.
lint: style format-check imports types

style: $(VENV)/test
	$(BIN)/ruff check .

format-check: $(VENV)/test
	$(BIN)/ruff format --check .

imports: $(VENV)/test
	$(BIN)/lint-imports --no-logo

types: $(VENV)/test
	$(BIN)/pyright --pythonpath $(BIN)/python

docs: $(VENV)/docs
	$(BIN)/mkdocs build --quiet --strict

bench: $(VENV)/test
	$(BIN)/python -m benchmarks.training_speed
	$(BIN)/python -m benchmarks.loader_speed
	$(BIN)/python -m benchmarks.compose_speed
	$(BIN)/python -m benchmarks.endless_speed
	$(BIN)/python -m benchmarks.inference_speed

fuzz: $(VENV)/test
	$(BIN)/python -m fuzzing --minutes 5

kills: $(VENV)/test
	$(BIN)/python -m fuzzing.kills

soak: $(VENV)/test
	$(BIN)/python -m fuzzing.soak

format: $(VENV)/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) site
