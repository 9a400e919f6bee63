# make serve: the server, with everything it needs.  make test: every check and test.  make help: the rest.

SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
PYTHON := $(VENV)/bin/python
TOOLS := .tools
UV := $(shell command -v uv 2>/dev/null || echo $(TOOLS)/bin/uv)
export UV_PROJECT_ENVIRONMENT := $(VENV)
export PYTHONUTF8 := 1
# More workers than the two cores that CI has: much of the tests waits for servers that start, stop and are killed.
IN_PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help serve test coverage check figures format lock clean attacks crash fuzz pictures likeness privacy-model

help: ## this list
	@grep -hE '^[a-z%-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

serve: $(VENV)/.runtime ## set everything up, start, print the address (FRONTDESK_PORT, FRONTDESK_DATA … are honoured)
	@exec $(VENV)/bin/frontdesk serve

test: $(VENV)/.dev ## set everything up, run every check and every test
	@$(MAKE) --no-print-directory check
	@scripts/test-servers
	$(PYTHON) -m pytest $(IN_PARALLEL)

coverage: $(VENV)/.dev ## which lines the tests reach, but for those that only a server in its own process runs
	$(PYTHON) -m pytest $(IN_PARALLEL) --cov --cov-report=xml:.coverage.xml

check: $(VENV)/.dev ## lint, types, floors, documents that are generated
	@echo "frontdesk: checking style, types and floors"
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(PYTHON) scripts/settings_reference.py --check && $(PYTHON) scripts/check_docs.py && $(PYTHON) scripts/figures.py --check
	@scripts/check_page

figures: $(VENV)/.dev ## write the tables of measured figures anew, from the committed results
	@$(PYTHON) scripts/figures.py

pictures: $(VENV)/.dev ## take the documentation's screenshots again
	$(PYTHON) scripts/screenshots.py

crash: $(VENV)/.dev ## kill servers under load: make crash [KILLS=1000] [OUT=file.json]
	$(PYTHON) -m tests.crash $(if $(KILLS),--kills $(KILLS)) $(if $(OUT),--out $(OUT))

attacks: $(VENV)/.dev ## attack every route in every known way, and write docs/security.md's table anew
	$(PYTHON) -m pytest tests/attacks --write-attacks

fuzz: $(VENV)/.dev ## send a server whatever its OpenAPI allows, and what it does not: make fuzz [SECONDS=600]
	$(PYTHON) -m tests.fuzz $(if $(SECONDS),--seconds $(SECONDS))

format: $(VENV)/.dev ## rewrite the code in the one style
	$(VENV)/bin/ruff check --fix . && $(VENV)/bin/ruff format .

eval-%: $(VENV)/.dev ## measure quality: make eval-routing [DATA=dir TEST=dir OUT=file.json]
	$(PYTHON) -m evals.$* $(if $(DATA),--data $(DATA)) $(if $(TEST),--test $(TEST)) $(if $(OUT),--out $(OUT))

bench-%: $(VENV)/.dev ## measure speed: make bench-turn [OUT=file.json]
	$(PYTHON) -m benchmarks.$* $(if $(OUT),--out $(OUT))

likeness: $(VENV)/.dev ## learn the guard's model anew, after its phrases changed
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(PYTHON) -m frontdesk.supervisor.likeness_fitting

privacy-model: $(VENV)/.dev ## learn anew how names and addresses are told: make privacy-model [DATA=dir]
	OMP_NUM_THREADS=1 $(PYTHON) -m frontdesk.privacy.fitting $(DATA)

lock: $(UV) ## renew the locked versions (hashes, no addresses)
	$(UV) pip compile pyproject.toml --extra model --group build --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet --upgrade -o requirements.lock
	$(UV) pip compile pyproject.toml --extra model --extra dev --group build -c requirements.lock --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet -o requirements-dev.lock

clean: ## remove what was set up here (never your data)
	rm -rf $(VENV) $(TOOLS) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(TOOLS)/bin/uv:
	@echo "frontdesk: fetching the installer (uv)"
	@python3 -m venv $(TOOLS) || { echo "python3 can't make environments: install python3-venv."; exit 1; }
	@$(TOOLS)/bin/pip install --quiet --disable-pip-version-check uv==0.13.8

$(VENV)/bin/python: | $(UV)
	@$(UV) venv --quiet --allow-existing --python '>=3.11' $(VENV) || { echo "frontdesk needs Python 3.11 or newer: none was found."; exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/bin/python
	@if [ -e $(VENV)/.dev ]; then $(MAKE) --no-print-directory --silent $(VENV)/.dev && touch $@; else \
	  echo "frontdesk: installing $$(grep -c '==' requirements.lock) packages" && \
	  $(UV) pip sync --quiet --python $(PYTHON) --require-hashes --compile-bytecode requirements.lock && \
	  $(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable . && touch $@; fi

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/bin/python
	@echo "frontdesk: installing $$(grep -c '==' requirements-dev.lock) packages for tests"
	@$(UV) pip sync --quiet --python $(PYTHON) --require-hashes --compile-bytecode requirements-dev.lock
	@$(UV) pip install --quiet --python $(PYTHON) --no-deps --no-build-isolation --editable .
	@touch $@
