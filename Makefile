# Trains, tests and checks gdjax in .venv, which needs only Python, venv and make.

PYTHON ?= python3
EXTRAS ?=
CONSTRAINTS ?= constraints.txt
CONFIG = configs/digits_mlp.py
ARGS =

define HELP
make train    train on the digits, print the table, draw the curves in runs/
make test     lint, types, and the tests on the wheel built from here
make check    the same, then the long tests
make clean    remove .venv, caches and builds; runs/ stays

Each first makes what it needs in .venv, once. Settings, for each of them:

  PYTHON=python3.13          another interpreter, 3.11 or newer (now $(PYTHON))
  EXTRAS=cuda12              for a GPU; tpu for a TPU; several with commas
  CONSTRAINTS=               the newest of everything, not the tested versions
  CONFIG=configs/NAME.py     what to train (now $(CONFIG))
  ARGS="--config.KEY=VALUE"  more arguments for experiments/train.py
endef
export HELP

# The checkout must not stand in for the installed wheel.
unexport PYTHONPATH
# A pinned pyright would ask for its newest version, over the network, every time.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1

.PHONY: help train test check clean FORCE
.NOTPARALLEL:

help:
	@echo "$$HELP"

train: .venv/run
	.venv/bin/python experiments/train.py --config=$(CONFIG) $(ARGS)

# `.venv/bin/pytest`, for `python -m pytest` would import the checkout.
test: .venv/dev
	@rm -f .venv/tested && touch .venv/testing
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright --pythonpath .venv/bin/python
	.venv/bin/pytest -n 2 -m "not long"
	@mv .venv/testing .venv/tested

# The short part is not run again where `make test` passed on these very files.
check: .venv/dev
	@test -f .venv/tested && test -z "$$(find . .venv/dev -name '.?*' -prune \
	  -o \( -name runs -o -name __pycache__ \) -prune \
	  -o -type f -newer .venv/tested -print)" \
	  || $(MAKE) --no-print-directory test
	.venv/bin/pytest -n 2 -m long

clean:
	rm -rf .venv build dist .hypothesis .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +

# ok VERSION PREFIX | old VERSION | bare (venv is missing) | nothing: it does not run
probe = import sys; v = "%d.%d.%d" % sys.version_info[:3]; sys.stdout.write( \
  "old " + v if sys.version_info < (3, 11) else "ok " + v + " " + sys.base_prefix \
  if __import__("importlib.util").util.find_spec("ensurepip") else "bare")
python = $(eval python := $$(shell $(PYTHON) -c '$(probe)' 2>/dev/null))$(python)
goal = $(or $(firstword $(MAKECMDGOALS)),train)
trouble_ = gdjax needs Python 3.11 or newer; $(PYTHON) does not run. \
  Name another: make $(goal) PYTHON=/usr/bin/python3.13
trouble_old = gdjax needs Python 3.11 or newer; $(PYTHON) is $(word 2,$(python)). \
  Try: make $(goal) PYTHON=python3.13
trouble_bare = gdjax needs venv, which $(PYTHON) lacks (on Debian: apt install python3-venv)
trouble = $(trouble_$(firstword $(python)))

pip = .venv/bin/pip --quiet --disable-pip-version-check
pinned = $(CONSTRAINTS:%=--constraint %)
key = $(python) $(CURDIR) $(EXTRAS) $(CONSTRAINTS)

# Changes only when it has to: another interpreter or set of packages starts anew.
.venv/key: FORCE
	$(if $(trouble),$(error $(trouble)))
	@test "$$(cat $@ 2>/dev/null)" = "$(key)" || { \
	  echo "Making .venv with Python $(word 2,$(python))"; \
	  rm -rf .venv && $(PYTHON) -m venv .venv && \
	  $(pip) install $(pinned) hatchling && echo "$(key)" >$@; }

# Folders are in the list too, so that a removed file leaves the wheel.
.venv/wheel: .venv/key pyproject.toml README.md LICENSE \
  $(shell find gdjax -name __pycache__ -prune -o -print)
	@rm -rf .venv/dist
	@$(pip) wheel --no-deps --no-build-isolation --wheel-dir .venv/dist .
	@$(pip) install --no-deps --force-reinstall .venv/dist/*.whl
	@touch $@

.venv/run .venv/dev: .venv/%: .venv/key pyproject.toml $(CONSTRAINTS) | .venv/wheel
	@echo "Installing gdjax[$*$(EXTRAS:%=,%)] into .venv, which can take minutes"
	@$(pip) install $(pinned) "$$(echo .venv/dist/*.whl)[$*$(EXTRAS:%=,%)]"
	@touch .venv/run $@
