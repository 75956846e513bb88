# The two commands of the README, each with all its set-up. Needs Python 3.11 or later and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: demo test lint clean

# What `pip install tonearm` gives: no torch, no scikit-learn.
demo: $(VENV)/.light
	$(BIN)/tonearm demo -o demo

# Whole files to each of two processes: what a file shares is made once, and two cores are what the suite is planned for.
test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .ruff_cache .hypothesis

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.light: pyproject.toml | $(BIN)/python
	$(PIP) install -e .
	touch $@

# torch first, by its version and alone: whatever wants torch afterwards then finds it there and does not bring another.
$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(PIP) install torch==2.13.0
	$(PIP) install -e '.[dev]'
	touch $@ $(VENV)/.light
