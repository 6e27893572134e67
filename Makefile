# Towpath: the commands that a person and CI type. `make` alone lists them.
#
# Needs Python 3.11, 3.12 or 3.13, Git and make. PYTHON=... chooses the Python, VENV=... the
# folder of the environment, JOBS=... how many tests run at a time.

VENV ?= .venv
# Three keep two cores busy: a third of the tests' time is waiting for servers and processes.
JOBS ?= 3
DEMO := build/demo
# Folders of tests that need no server, and the rooms that `make coverage` measures by them.
COVERED ?= backends/git backends/great_expectations config delivery/gates dependencies documents \
	forge registry
ROOMS ?= backends/git backends/github backends/great_expectations config delivery/gates \
	dependencies documents forge registry
SUITABLE := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
# Your own python3 if it is one of ours, else the newest of ours that there is.
PYTHON ?= $(firstword $(foreach each,python3 python3.13 python3.12 python3.11 python, \
	$(shell $(each) -c '$(SUITABLE)' 2>/dev/null && echo $(each))))

BIN := $(VENV)/bin
PY := $(BIN)/python
PINS = constraints/$$($(PY) -c 'import sys; print("py%d%d" % sys.version_info[:2])').txt
INSTALL = $(PY) -m pip install -qq --no-compile --no-build-isolation --constraint $(PINS)
# Imports cost double without bytecode; all cores together are quicker at it than pip is alone.
COMPILE = $(PY) -m compileall -q -j 0 -x 'cookiecutter\.name' $(VENV)/lib >/dev/null 2>&1 || true

# Nothing of the caller's Python, pip or Prefect leaks in.
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP PYTHONDONTWRITEBYTECODE PYTHONOPTIMIZE VIRTUAL_ENV
unexport PIP_USER PIP_TARGET PIP_PREFIX PIP_CONSTRAINT PIP_REQUIRE_VIRTUALENV
unexport PREFECT_API_URL PREFECT_API_KEY PREFECT_PROFILE
export PYTHONNOUSERSITE := 1

.DEFAULT_GOAL := help
.PHONY: help demo screenshots modules test test-fast fuzz lint coverage bench ci constraints dist clean

help:  ## list the commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1	\2/p' Makefile

demo: $(VENV)/.installed  ## from nothing to a registered model, in build/demo/abalone
	@BIN="$(BIN)" .ci/demo $(DEMO)

screenshots: $(VENV)/.developing  ## the pictures of the README, made anew
	$(PY) .ci/screenshots

modules: $(VENV)/.developing  ## docs/modules.md, of the docstrings: after a module came or went
	$(PY) .ci/modules

# A worker takes half of the tests in their order, so that what a file shares is made once, and
# what is left of the other's when it has done its own.
PYTEST = $(PY) -m pytest -n $(JOBS) --dist worksteal

test: $(VENV)/.developing  ## every test
	$(PYTEST)

test-fast: $(VENV)/.developing  ## those that need no server and no run: a minute
	$(PYTEST) -m fast

fuzz: $(VENV)/.developing  ## the readers of what strangers write, on a million documents
	TOWPATH_FUZZ=$${TOWPATH_FUZZ:-50000} $(PY) -m pytest --timeout 0 \
		tests/faults/test_readers_fuzzed.py tests/faults/test_commands_fuzzed.py

lint: $(VENV)/.developing  ## style, types and architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers 2
	$(BIN)/lint-imports

# The test left out lets a process write no file at all, and so none of coverage's.
coverage: $(VENV)/.developing  ## which lines of the rooms in COVERED their own tests reach
	rm -rf build/coverage && mkdir -p build/coverage
	$(PY) -m coverage run -m pytest $(COVERED:%=tests/%) --deselect \
		tests/registry/test_clones.py::test_a_full_disk_is_said_and_nothing_is_half_there
	$(PY) -m coverage combine --quiet
	$(PY) -m coverage report --skip-covered --skip-empty \
		--include "$$(printf 'src/towpath/%s/*,' $(ROOMS) | sed 's/,$$//')"

bench: $(VENV)/.developing  ## the figures of the README, measured on this machine
	$(PY) -m benchmarks

ci: lint test  ## lint and test

constraints: $(VENV)/.developing  ## write constraints/ anew: the newest releases that fit together
	$(PY) -m pip install --quiet uv
	for minor in 11 12 13; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.$$minor \
			--all-extras --group dev --group build --no-annotate --no-header \
			--output-file constraints/py3$$minor.txt pyproject.toml || exit; \
	done

dist: $(VENV)/.installed  ## build the package into dist/, and try it in an environment of its own
	rm -rf dist build/dist
	$(PY) -m hatchling build -d dist
	"$(PYTHON)" -m venv build/dist/venv
	build/dist/venv/bin/python -m pip install -qq --constraint $(PINS) dist/*.whl
	cd build/dist && venv/bin/towpath --version && venv/bin/towpath new tabular --no-input && \
		cd abalone && ../venv/bin/towpath check

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist

$(VENV)/.created:
	@if [ -z "$(PYTHON)" ]; then \
		echo "Towpath needs Python 3.11, 3.12 or 3.13, and none was found." >&2; \
		echo "Install one, or say where it is: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; fi
	@"$(PYTHON)" -c '$(SUITABLE)' || { \
		echo "$(PYTHON) is not Python 3.11, 3.12 or 3.13, which Towpath needs." >&2; exit 1; }
	@command -v git >/dev/null || { echo "Towpath needs Git, which was not found." >&2; exit 1; }
	"$(PYTHON)" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.created pyproject.toml constraints/*.txt
	@echo "Installing into $(VENV), every version pinned by constraints/ (a minute or two)"
	@$(INSTALL) --upgrade pip setuptools hatchling editables
	@$(INSTALL) --editable .
	@$(COMPILE)
	@touch $@

# All at once, and not upon `.installed`, which would resolve and compile twice.
$(VENV)/.developing: $(VENV)/.created pyproject.toml constraints/*.txt
	@echo "Installing Towpath and what its tests need into $(VENV), every version pinned"
	@$(INSTALL) --upgrade pip setuptools hatchling editables
	@$(INSTALL) --editable '.[dask,duckdb,excel,explain,notebook,polars,s3]' --group dev
	@$(COMPILE)
	@touch $(VENV)/.installed $@
