# Everything lives in .venv, which `make setup` makes; nothing has to be installed before.
PORT ?= 8000
# More arguments for pytest: make test ARGS='tests/sync -k window --no-cov'
ARGS ?=

PYTHON_FILES := app workers tests scripts alembic

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check bench screenshots chromium clean

help:
	@echo 'make demo [PORT=8000]   a Crisp in the box and crispsync, side by side, with nothing to configure'
	@echo 'make run  [PORT=8000]   serve with the settings of .env'
	@echo 'make test [ARGS=...]    the whole suite, on SQLite and PostgreSQL'
	@echo 'make check              format, lint, types, import direction, migrations, lock file, known vulnerabilities'
	@echo 'make bench              the benchmarks'
	@echo 'make screenshots        every page of a demo, light and dark, wide and narrow, into screenshots/'
	@echo 'make setup              .venv with the locked dependencies (the others do this first)'
	@echo 'make clean              remove what the commands above made, except .venv and data/'

setup:
	@sh scripts/setup.sh

demo: setup
	@exec .venv/bin/python scripts/demo.py --port $(PORT)

run: setup
	@exec .venv/bin/crispsync serve --port $(PORT)

chromium:
	@sh scripts/chromium.sh >/dev/null

# The coverage report and its gate come before pytest's summary, which stays the last line.
test: setup chromium
	@rm -f .coverage .coverage.*
	@exec .venv/bin/python -m pytest -n logical --maxprocesses 4 --dist worksteal \
		--cov --cov-report=term-missing:skip-covered $(ARGS)

check: setup
	.venv/bin/ruff format --check $(PYTHON_FILES)
	.venv/bin/ruff check $(PYTHON_FILES)
	.venv/bin/mypy
	.venv/bin/lint-imports
	PYTHONPATH=. .venv/bin/python scripts/check_migrations.py
	PYTHONPATH=. .venv/bin/python scripts/schema_doc.py --check
	.venv/bin/uv lock --check --quiet
	.venv/bin/python scripts/audit_packages.py

bench: setup
	@exec .venv/bin/python -m pytest -p no:xdist -s tests/bench $(ARGS)

screenshots: setup
	@exec .venv/bin/python scripts/screenshots.py

clean:
	rm -rf .coverage .coverage.* htmlcov dist build screenshots
	rm -rf .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find $(PYTHON_FILES) -name __pycache__ -type d -prune -exec rm -rf {} +
