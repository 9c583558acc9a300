# imp-gateway. Everything here needs a Python from OLDEST to NEWEST, with pip or with uv on the PATH, and nothing else.

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset manage test test-long test-kong test-pythons mutants screenshots messages browser docs audit clean
.PHONY: check check-style check-types check-layers check-migrations check-settings
MAKEFLAGS += --no-print-directory

# What pyproject.toml claims; `make test-pythons` proves both ends.
OLDEST := 3.11
NEWEST := 3.13
comma := ,

# Each Python that is named has an environment of its own (PYTHON=python3.13: .venv-3.13), so that two never share packages.
PYTHON ?= python3
ENVIRONMENT := .venv$(if $(filter-out python3,$(PYTHON)),-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
UV := $(shell command -v uv || echo .uv/bin/uv)
VENV := $(ENVIRONMENT)/bin
MESSAGES := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))

# Tests wait for other processes much of the time. More than four at once is more than one browser each can bear.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

# What the tests ran of the code, with COVERAGE=1. The report fails below the floor in pyproject.toml, which counts for all tests.
ifdef COVERAGE
TESTS = $(VENV)/coverage erase && $(VENV)/coverage run -m pytest $(SIDE_BY_SIDE) $(ARGS) && $(VENV)/coverage combine --quiet && $(VENV)/coverage report
else
TESTS = exec $(VENV)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)
endif

# For commands that load the settings but talk to nobody; strict enough for `check --deploy`.
CHECK_ENV := env DATABASE_URL=postgres://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 PUBLIC_URL=https://imp.invalid \
	SIGNING_KEY_FILE=/nonexistent ENCRYPTION_KEYS=checks:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= SECRET_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(ENVIRONMENT)/synced $(MESSAGES) ## install everything into .venv; the others do it when needed

# exec: signals that make passes on, and Ctrl-C, must reach the supervisor itself.
demo: setup ## the whole system on this machine until Ctrl-C; PORT=8000, DEMO_DIR=var, KONG_ADMIN_URL= and KONG_PROXY_URL= of a Kong of yours
	@exec $(VENV)/python -m demo

demo-reset: setup ## forget the demo's data
	@exec $(VENV)/python -m demo --reset

manage: setup ## manage.py with the running demo's settings, or those of the environment; ARGS="publish_status --tenant acme"
	@exec $(VENV)/python -m demo.manage $(ARGS)

test: setup browser ## all tests; ARGS="tests/demo -x" for some, COVERAGE=1 for a report of what they ran, PYTHON=python3.13 for another Python
	@$(TESTS)

test-pythons: ## all tests on the oldest and on the newest Python that we claim; both have to be on the PATH
	@for version in $(OLDEST) $(NEWEST); do echo "Python $$version"; $(MAKE) test PYTHON=python$$version || exit; done

test-long: setup browser ## all tests and the long ones too: every fault, soak, fuzz; ARGS as above
	@exec $(VENV)/python -m pytest -m "" $(SIDE_BY_SIDE) $(ARGS)

mutants: setup ## plant each bug of tests/mutants in a copy of the code, and see whether a test notices; long; ARGS="kong" for some
	@exec $(VENV)/python -m tests.mutants $(ARGS)

test-kong: setup ## what holds for any Kong, against yours; KONG_ADMIN_URL=http://127.0.0.1:8001 KONG_PROXY_URL=http://127.0.0.1:8000
	@test -n "$(KONG_ADMIN_URL)" && test -n "$(KONG_PROXY_URL)" || { echo "Say where it is: make test-kong KONG_ADMIN_URL=... KONG_PROXY_URL=..." >&2; exit 1; }
	@exec env KONG_ADMIN_URL="$(KONG_ADMIN_URL)" KONG_PROXY_URL="$(KONG_PROXY_URL)" $(VENV)/python -m pytest -m real_kong tests/agent/drivers/kong/test_any_kong.py $(ARGS)

screenshots: setup browser ## every page, ko and en, light and dark, wide and narrow, into screenshots/
	@exec $(VENV)/python -m pytest -q tests/e2e/screenshots.py

messages: setup ## find new texts for locale/ (needs gettext's xgettext); translate them by hand
	@$(CHECK_ENV) $(VENV)/python -W ignore manage.py makemessages --locale ko --no-wrap --add-location file --no-obsolete --ignore '.venv*' --ignore tests --ignore var --ignore typings --ignore demo

check: check-style check-types check-layers check-migrations check-settings docs ## all that can be checked without running: code, migrations, settings, documents

check-style: setup ## style and form
	@$(VENV)/ruff check --quiet
	@$(VENV)/ruff format --check --quiet

check-types: setup ## types; takes a minute
	@$(CHECK_ENV) $(VENV)/mypy --no-error-summary

check-layers: setup ## who may import whom
	@$(VENV)/lint-imports

check-migrations: setup ## every change of a model has its migration
	@$(CHECK_ENV) $(VENV)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run

check-settings: setup ## what Django wants of a deployment
	@$(CHECK_ENV) $(VENV)/python manage.py check --deploy --fail-level WARNING

docs: setup ## the documents as pages in site/; fails on a link or anchor that leads nowhere
	@$(VENV)/mkdocs build --strict

# A package that the service does not know, or a service that does not answer, is no proof of anything: --strict makes it fail.
audit: setup ## known vulnerabilities in what uv.lock names; asks PyPI, so it needs the network
	@$(UV) export --quiet --frozen --no-emit-project --output-file $(ENVIRONMENT)/audited.txt >/dev/null
	@$(VENV)/pip-audit --strict --disable-pip --require-hashes --progress-spinner off --requirement $(ENVIRONMENT)/audited.txt || \
	{ echo "Not passed. Either the lines above name a vulnerability, or PyPI could not be asked about every package: then nothing is known." >&2; exit 1; }

clean: ## remove all that can be made again; the demo's data stays
	@rm -rf .venv .venv-* .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage .coverage.* site static-root $(MESSAGES)
	@find . -name __pycache__ -prune -exec rm -rf {} +

# Bytecode is compiled once here: without it each of the demo's processes starts a second later.
$(ENVIRONMENT)/synced: pyproject.toml uv.lock | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(not ($(subst .,$(comma),$(OLDEST))) <= sys.version_info[:2] <= ($(subst .,$(comma),$(NEWEST))))' || \
	{ echo "imp-gateway needs Python $(OLDEST) to $(NEWEST): make PYTHON=/path/to/python$(NEWEST) ..." >&2; exit 1; }
	@echo "Installing into $(ENVIRONMENT) ..."
	@UV_PROJECT_ENVIRONMENT=$(ENVIRONMENT) UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --compile-bytecode --python "$$(command -v $(PYTHON))"
	@touch $@

.uv/bin/uv:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Neither uv nor pip is here. Install one: https://docs.astral.sh/uv, or your system's python3-pip." >&2; exit 1; }
	@echo "Getting uv ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .uv uv

%.mo: %.po | $(ENVIRONMENT)/synced
	@$(VENV)/pybabel --quiet compile --input-file $< --output-file $@

# The tests drive the Chromium of the system. Where there is none, root on Debian installs it; anybody else gets Playwright's own.
browser: | $(ENVIRONMENT)/synced
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium ..."; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; \
	else $(VENV)/playwright install chromium; fi
