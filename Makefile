# DevFlow: `make sandbox` tries it, `make test` tests it. Everything is installed into .venv, with pinned versions.
.DEFAULT_GOAL := help
.PHONY: help install sandbox demo test pytest test-faults test-fuzz test-dynamodb-local test-github-schemas lint bench pictures clean agents test-agents editor test-editor

VENV := .venv
RUN := $(VENV)/bin
PIP := $(RUN)/python -m pip --disable-pip-version-check

# make sandbox PORT=8500 REPO=~/code/shop STATE=/tmp/devflow
FLAGS = $(if $(PORT),--port $(PORT)) $(if $(STATE),--state "$(STATE)") $(foreach repo,$(REPO),--repo "$(repo)")
PROMPT ?= printf '\nTried with DevFlow.\n' >> README.md && git diff --stat
export PROMPT

help: ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | awk -F'\t' '{printf "  make %-20s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## the venv and the pinned packages DevFlow runs with

sandbox: $(VENV)/.installed ## everything on this machine, with a page in the browser (Ctrl-C stops it)
	@$(RUN)/devflow sandbox $(FLAGS)

demo: $(VENV)/.installed ## the main job once, in this terminal
	@$(RUN)/devflow sandbox --once "$$PROMPT" $(FLAGS)

test: $(VENV)/.installed-dev ## every test that needs no account
	@$(MAKE) --no-print-directory -j 2 lint pytest

pytest: $(VENV)/.installed-dev
	$(RUN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(TESTS)

test-faults: $(VENV)/.installed-dev ## hundreds of kills (KILLS=300 SEED=1)
	$(RUN)/python -m tests.faults --kills $(or $(KILLS),300) --seed $(or $(SEED),1)

test-fuzz: $(VENV)/.installed-dev ## a hundred thousand odd and forged inputs (CASES=100000 SEED=1)
	$(RUN)/python -m tests.fuzz --cases $(or $(CASES),100000) --seed $(or $(SEED),1)

editor: $(VENV)/.installed ## code-server for the web editor, into .tools/editor (some 3 minutes, 750 MB)
	@PYTHON=$(RUN)/python sh tools/install_editor.sh

test-editor: $(VENV)/.installed-dev editor ## the web editor in a real browser (needs Chromium)
	$(RUN)/python -m pytest tests/editor

test-dynamodb-local: $(VENV)/.installed-dev ## the store's contract on Amazon's own emulator (needs Java, npm, unshare)
	$(RUN)/python tests/dynamodb_local/start.py

agents: $(VENV)/.installed ## the coding agents claude, codex, gemini and opencode, pinned, into .agents
	PYTHON=$(RUN)/python sh tools/install_agents.sh

test-agents: $(VENV)/.installed-dev ## each of those agents end to end, against scripted models
	@test -x .agents/bin/opencode || PYTHON=$(RUN)/python sh tools/install_agents.sh
	DEVFLOW_TEST_AGENTS=1 $(RUN)/python -m pytest -n 2 --dist load tests/agents

test-github-schemas: $(VENV)/.installed-dev ## the GitHub stand-in against what GitHub publishes (needs npm)
	$(RUN)/python tests/github_schemas/start.py

lint: $(VENV)/.installed-dev ## ruff, mypy and the import contracts
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	$(RUN)/lint-imports

pictures: $(VENV)/.installed-dev ## the pictures of docs/images, taken anew in Chromium
	$(RUN)/python -m tests.browser.pictures

bench: $(VENV)/.installed ## the figures of docs/figures.md, measured here
	$(RUN)/python -m benchmarks

clean: ## removes what was installed and built; the sandbox's state (.devflow) stays
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

$(VENV)/.made:
	@python=$$(PYTHON="$(PYTHON)" sh tools/preflight.sh) && echo "Making $(VENV) with $$python" && "$$python" -m venv $(VENV)
	@touch $@

$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	@echo "Installing DevFlow and what it needs (a minute or two the first time)"
	$(PIP) install --progress-bar on -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Installing what the tests need"
	$(PIP) install --progress-bar on -c constraints.txt -e '.[dev]'
	@touch $@
