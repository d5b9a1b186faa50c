# make demo, make test: set up what is missing, then run. Nothing needs to be installed before but Python and a compiler.
# PYTHON: 3.10 to 3.13. VENV: where the environment goes. TORCH: another build of PyTorch, as pip arguments, such as
#   make test TORCH="torch==2.14.1+cpu torchvision==0.29.1+cpu --index-url https://download.pytorch.org/whl/cpu"
PYTHON ?= python3
VENV ?= .venv
TORCH ?=

BIN := $(VENV)/bin

.PHONY: demo test lint environment
.SILENT:

demo: environment
	PYTHONWARNINGS=ignore $(BIN)/python tools/demo.py

test: environment
	$(BIN)/python -m pytest

lint: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check

environment:
	$(PYTHON) requirements/install.py $(VENV) --torch '$(TORCH)'
