# What a person types. Everything is installed into .venv; the first run sets it up, later runs start at once.

PYTHON := .venv/bin/python
READY := .venv/ready
OPTIONS :=

.PHONY: demo test coverage test-first test-second test-untraced test-untraced-rest test-pythons container-test install
.PHONY: lint docs bench fuzz programs lock clean

demo: $(READY)  ## the box between attackers and a server, in a private network, for a minute
	@.venv/bin/tidegate lab --seconds 60

test: $(READY)  ## every test; OPTIONS="-k NAME" and the like go to pytest
	$(PYTHON) -m pytest $(OPTIONS)

# The two parts that are traced take about as long: the rooms of the appliance but two, and all else.
FIRST := $(filter-out %/rules/ %/verifier/ %/__pycache__/,$(wildcard tests/appliance/*/))
TRACED = $(PYTHON) -m coverage run -m pytest -m "not container and not untraced"

coverage: $(READY)  ## every test, two parts at a time; fails if less of the code is covered than was
	rm -rf build/coverage && mkdir -p build/coverage
	$(MAKE) --no-print-directory --jobs=2 --keep-going --output-sync=target test-first test-second test-untraced test-untraced-rest
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report

test-first: $(READY)
	$(TRACED) $(OPTIONS) $(FIRST)

test-second: $(READY)
	$(TRACED) $(OPTIONS) $(FIRST:%=--ignore=%)

# What isn't traced (tests/untraced.py) takes about as long in two parts, too.
UNTRACED_FIRST := tests/corpus tests/fuzz tests/docs
UNTRACED = $(PYTHON) -m pytest -m "not container and untraced"

test-untraced: $(READY)
	$(UNTRACED) $(OPTIONS) $(UNTRACED_FIRST)

test-untraced-rest: $(READY)
	$(UNTRACED) $(OPTIONS) $(UNTRACED_FIRST:%=--ignore=%)

test-pythons: $(READY)  ## a short run through every other supported Python that this machine has
	$(PYTHON) -m tests.pythons

container-test: $(READY)  ## build the image and run it as docker-compose.yml says, by podman (root)
	.ci/debian tests/container/packages.txt
	$(PYTHON) -m pytest -m container $(OPTIONS) tests/container

install: $(READY)  ## the set-up alone
	@echo "ready: .venv/bin/tidegate"

lint: $(READY)  ## ruff, mypy --strict, and the floors of docs/architecture.md
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports

docs: $(READY)  ## the documents as a site, in build/site
	rm -rf build/docs build/site && mkdir -p build/docs
	cp -r *.md LICENSE configs docs build/docs/
	.venv/bin/mkdocs build --strict  # with --quiet it would count no warnings, and never fail

bench: $(READY)  ## every figure, as ratios in one run
	$(PYTHON) -m tests.bench

fuzz: $(READY)  ## long runs against hostile input; OPTIONS="lives --seconds 60 --seed 7"
	$(PYTHON) -m tests.fuzz $(OPTIONS)

programs: $(READY)  ## compile programs/*.bpf.c with clang
	$(MAKE) -C programs

lock:  ## requirements*.lock anew from pyproject.toml; OPTIONS=--upgrade takes newer versions
	.ci/lock $(OPTIONS)

clean:
	rm -rf .venv build *.egg-info

# Also when the .venv there was made by another Python, or by this one before an upgrade.
ifneq ($(shell .ci/python --identity 2>/dev/null),$(shell cat .venv/made-by 2>/dev/null))
.PHONY: $(READY)
endif
$(READY): requirements-dev.lock pyproject.toml packages.txt .ci/install .ci/debian .ci/packages .ci/python
	.ci/install
	@touch $@
