# Needs make and Python 3.11 or newer; everything else is installed into .venv. `make test PYTHON=/path/to/python` names another one.

PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v $$python && break; done)
# Trials use one thread each; more would let the tests disturb one another.
RUN = OMP_NUM_THREADS=1 .venv/bin/python -m

.PHONY: demo test test-all lint clean

demo: .venv/installed-core
	.venv/bin/python examples/demo.py

# A file's tests stay together, in the order they are written in: they share what takes long to make.
PYTEST = pytest --numprocesses 2

test: lint
	$(RUN) $(PYTEST) -m "not slow"

test-all: lint
	$(RUN) $(PYTEST)

lint: .venv/installed-all
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy --strict

.venv/installed-core: .venv/bin/pip pyproject.toml constraints.txt
	@echo 'Installing packages into .venv: one to two GB, which takes some minutes.'
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

.venv/installed-all: .venv/bin/pip pyproject.toml constraints.txt
	@echo 'Installing packages into .venv: one to two GB, which takes some minutes.'
	.venv/bin/python -m pip install --quiet --constraint constraints.txt --editable '.[ray,report,test]'
	touch $@ .venv/installed-core

.venv/bin/pip:
	@test -n "$(PYTHON)" || { echo "automl needs Python 3.11 or newer; name one: make PYTHON=/path/to/python" >&2; exit 1; }
	$(PYTHON) -m venv .venv

clean:
	rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
