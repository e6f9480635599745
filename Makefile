PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PEERS := benchmarks/peers/.venv
WEB := examples/browser/node_modules/.package-lock.json

.PHONY: help install demo test browser example lint docs bench peers rank parity authors
.DEFAULT_GOAL := help

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(INSTALLED) ## everything into .venv (about 7 GB with torch)

demo: $(INSTALLED) ## the whole job on example photographs: train, evaluate, predict
	$(BIN)/lookalike demo

test: $(INSTALLED) browser example ## the test suite (LOOKALIKE_TEST_DATA=<folder> adds the tests on photographs)
	$(BIN)/python -m pytest -n 2

browser: ## a browser for the tests of pages: Debian's chromium, where there is none and apt-get may be used
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing chromium for the tests of pages ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium >/dev/null; \
	else echo "no chromium here: the tests that open pages are skipped; install it to run them"; fi

example: ## ONNX Runtime for the page of examples/browser, by npm, where that is there
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory $(WEB); \
	else echo "no npm here: the page of examples/browser and its tests need it"; fi

$(WEB): examples/browser/package-lock.json examples/browser/package.json
	cd examples/browser && npm ci --ignore-scripts --no-audit --no-fund --silent
	@touch $@

lint: $(INSTALLED) ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED) ## the documentation as a site, in build/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict
	@echo "build/docs/index.html; with its search: $(BIN)/python -m http.server --directory build/docs"

bench: $(INSTALLED) ## measure training, embedding, start-up; write benchmarks/RESULTS.md and the pictures of docs/performance
	$(BIN)/python benchmarks/run.py

peers: ## the environments of the packages we are compared with (needs a C compiler)
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements.txt
	$(PEERS)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers/requirements-alone.txt
	$(PYTHON) -m venv $(PEERS)-oml
	$(PEERS)-oml/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements-speed.txt

rank: $(INSTALLED) ## measure the evaluation of retrieval and write benchmarks/RANKING.md
	$(BIN)/python benchmarks/ranking.py

parity: $(INSTALLED) ## compare our metrics with those of other packages on 200 random problems
	$(BIN)/python benchmarks/parity.py

authors: $(INSTALLED) ## run checkpoints beside their authors' own networks and write docs/authors.md (another 7 GB, half an hour)
	$(PYTHON) -m venv $(PEERS)-authors
	$(PEERS)-authors/bin/python -m pip install --quiet --requirement benchmarks/peers/requirements-authors.txt
	$(PEERS)-authors/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers/requirements-authors-alone.txt
	$(BIN)/python benchmarks/authors.py --names

$(INSTALLED): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version.split()[0] + ": make PYTHON=python3.12 ..." if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	@echo "installing from requirements.lock (about 7 GB with torch, one to five minutes) ..."
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@
