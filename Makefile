# Two commands matter: `make report` and `make test`. Both make .venv first.
CORES ?= $(shell nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
# The first that works: a name on the PATH may be a stand-in that only says which version to choose.
PYTHON ?= $(shell for p in python3.11 python3.12 python3; do $$p -c "" 2>/dev/null && { command -v $$p; break; }; done)
BIN := .venv/bin

unexport PYTHONDONTWRITEBYTECODE  # or every job compiles torch's modules anew

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
	$(BIN)/mypy

bench: .venv/installed
	$(BIN)/python -m benchmarks

.venv/installed: requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "python3 is not installed; affectflow needs Python 3.11 or 3.12"; exit 1; }
	@$(PYTHON) -I affectflow/install.py
	@touch $@

lock:
	$(if $(wildcard $(BIN)/uv),$(BIN)/uv,uv) pip compile pyproject.toml --extra dev --python-version 3.11 --universal --fork-strategy fewest \
		--generate-hashes --no-emit-index-url --no-annotate --no-header --quiet --output-file requirements.lock

clean:
	rm -rf results .snakemake
