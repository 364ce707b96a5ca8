# Two commands matter: `make report` and `make test`. Both make .venv first.
CORES ?= $(shell nproc)
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
BIN := .venv/bin

.PHONY: report reports test lint bench clean lock

report: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/iemocap_report.html

reports: .venv/installed
	$(BIN)/snakemake --cores $(CORES) results/iemocap_report.html results/affwild2_report.html

test: lint
	$(BIN)/python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder

lint: .venv/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow

bench: .venv/installed
	$(BIN)/python -m benchmarks

.venv/installed: requirements.lock
	@test -n "$(PYTHON)" || { echo "python3 is not installed; affectflow needs Python 3.11 or 3.12"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' || \
		{ echo "$(PYTHON) is not Python 3.11 or 3.12; name one: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv .venv
	@# --no-deps: the lock is complete, and it holds the headless cv2 in place of the one that mediapipe asks for.
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	touch $@

# Needs uv: pip install uv
lock:
	uv pip compile pyproject.toml --extra dev --python-version 3.11 --universal --fork-strategy fewest \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf results .snakemake
