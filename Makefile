# Each target makes its own virtual environment in .venv first. PYTHON chooses the
# interpreter: make demo PYTHON=python3.12
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help demo test test-long bench lint format clean

help:
	@echo "make demo       train a small network on rendered rooms (under 8 minutes)"
	@echo "make test       run the tests (under 10 minutes)"
	@echo "make test-long  run the tests that take longer"
	@echo "make bench      measure speed against PyTorch (about 20 minutes)"
	@echo "make lint       check style"
	@echo "make format     format the code"
	@echo "make clean      remove the virtual environment"

$(VENV)/package: setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --upgrade pip
	$(BIN)/pip install --quiet --editable .
	@touch $@

$(VENV)/test: $(VENV)/package
	$(BIN)/pip install --quiet --editable ".[test]"
	@touch $@

demo: $(VENV)/package
	$(BIN)/python train.py

test: $(VENV)/test
	$(BIN)/python -m pytest -m "not long"

test-long: $(VENV)/test
	$(BIN)/python -m pytest -m long

bench: $(VENV)/test
	$(BIN)/python -m benchmarks.training_speed
	$(BIN)/python -m benchmarks.loader_speed
	$(BIN)/python -m benchmarks.compose_speed

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(VENV)/test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV)
