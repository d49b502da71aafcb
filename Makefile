# The commands of a clone. `make demo` and `make test` install what they need; `make help` lists all.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.installed
# A service takes 2.5 GB, so at most four processes. Files run in their order: those that start services come first, so that none
# of them is last. A dead process is not replaced, because its successor would start with the test that killed it.
PARALLEL := -n logical --maxprocesses 4 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := help
.PHONY: help install demo serve test test-unit torture screenshots docs docs-check docker-check lint format types \
        release lock clean

help:            ## list these commands
	@grep -hE '^[a-z-]+: .*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*##/  make \1\t/' | expand -t 20

install: $(READY)  ## create .venv with the packages of requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null || \
	  { echo "ClipSeek needs Python 3.11, but '$(PYTHON)' is $$($(PYTHON) --version 2>&1 | tail -n 1). Install Python 3.11, or give its path: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
	  { echo "'$(PYTHON)' cannot create virtual environments: install its venv module (Debian: apt install python3.11-venv)." >&2; exit 1; }
	@echo "Installing the pinned packages into $(VENV): about 8 GB and 3 minutes, once." >&2
	@$(PYTHON) -m venv $(VENV)
	@{ $(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock && \
	   $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable . ; } || \
	  { echo "The install failed: the lines above name the package. Check the network and the free disk (8 GB), then run: make install" >&2; exit 1; }
	@touch $@

demo: $(READY)   ## index samples, search them, open the page (DEMO_EXIT=1: stop after the searches)
	@$(BIN)/clipseek demo $(if $(DEMO_EXIT),--exit)

serve: $(READY)  ## start the service (127.0.0.1:45679) and the page (http://127.0.0.1:8501)
	@$(BIN)/clipseek serve --page

test: $(READY)   ## run all tests, in several processes
	@$(BIN)/python -m pytest $(PARALLEL)

test-unit: $(READY)  ## run the tests that start no service
	@$(BIN)/python -m pytest $(PARALLEL) tests/unit

torture: $(READY)  ## kill, damage and flood a service for 25 minutes, and print what survived
	@$(BIN)/python -m benchmarks.torture

screenshots: $(READY)  ## remake docs/images (needs Chromium)
	@$(BIN)/python -m tests.frontend.screenshots docs/images

docker-check: $(READY)  ## check images, Compose files and manifests without a container engine (needs the network)
	@$(BIN)/python docker/check.py

docs: $(READY)   ## remake docs/reference and the tables of settings from the code
	@$(BIN)/python -m docs.generate

docs-check: $(READY)  ## test the documents: links, words, references, translations, and every command they show
	@$(BIN)/python -m pytest tests/unit/test_docs.py tests/unit/test_glossary.py tests/unit/clipseek/test_limits_docs.py \
	  tests/flow/test_documented_commands.py

lint: $(READY)   ## check style and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: $(READY) ## reformat the sources
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

types: $(READY)  ## check static types, strictly
	@$(BIN)/mypy

release: lint types test-unit docs-check docker-check  ## build sdist and wheels from HEAD into dist/, and test them installed (FULL=1: with all 7 GB)
	@FULL=$(FULL) $(BIN)/python packaging/release.py

lock:            ## remake requirements.lock from pyproject.toml (needs the network)
	@$(PYTHON) -m venv .venv-lock && .venv-lock/bin/pip install --quiet --disable-pip-version-check uv
	@.venv-lock/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --all-extras --no-annotate --no-header \
	  --no-emit-index-url --no-emit-find-links --upgrade -o requirements.lock
	@rm -rf .venv-lock

clean:           ## remove .venv, dist and the tools' caches
	rm -rf .venv .venv-lock .mypy_cache .pytest_cache .ruff_cache dist
