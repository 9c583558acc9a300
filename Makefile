# imp-gateway. Everything here needs Python 3.11 or newer, with pip or with uv on the PATH, and nothing else.

.DEFAULT_GOAL := help
.PHONY: help setup demo demo-reset manage test test-long test-kong screenshots messages browser check clean
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
UV := $(shell command -v uv || echo .uv/bin/uv)
VENV := .venv/bin
MESSAGES := $(patsubst %.po,%.mo,$(wildcard locale/*/LC_MESSAGES/django.po))

# Tests wait for other processes much of the time. More than four at once is more than one browser each can bear.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4

# For commands that load the settings but talk to nobody; strict enough for `check --deploy`.
CHECK_ENV := env DATABASE_URL=postgres://nobody@127.0.0.1:1/none REDIS_URL=redis://127.0.0.1:1/0 PUBLIC_URL=https://imp.invalid \
	SIGNING_KEY_FILE=/nonexistent ENCRYPTION_KEYS=checks:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= SECRET_KEY=only-for-checks-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEF

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: .venv/synced $(MESSAGES) ## install everything into .venv; the others do it when needed

# exec: signals that make passes on, and Ctrl-C, must reach the supervisor itself.
demo: setup ## the whole system on this machine until Ctrl-C; PORT=8000, DEMO_DIR=var, KONG_ADMIN_URL= and KONG_PROXY_URL= of a Kong of yours
	@exec $(VENV)/python -m demo

demo-reset: setup ## forget the demo's data
	@exec $(VENV)/python -m demo --reset

manage: setup ## manage.py with the running demo's settings, or those of the environment; ARGS="publish_status --tenant acme"
	@exec $(VENV)/python -m demo.manage $(ARGS)

test: setup browser ## all tests; ARGS="tests/demo -x" for some
	@exec $(VENV)/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

test-long: setup browser ## all tests and the long ones too: every fault, soak, fuzz; ARGS as above
	@exec $(VENV)/python -m pytest -m "" $(SIDE_BY_SIDE) $(ARGS)

test-kong: setup ## what holds for any Kong, against yours; KONG_ADMIN_URL=http://127.0.0.1:8001 KONG_PROXY_URL=http://127.0.0.1:8000
	@test -n "$(KONG_ADMIN_URL)" && test -n "$(KONG_PROXY_URL)" || { echo "Say where it is: make test-kong KONG_ADMIN_URL=... KONG_PROXY_URL=..." >&2; exit 1; }
	@exec env KONG_ADMIN_URL="$(KONG_ADMIN_URL)" KONG_PROXY_URL="$(KONG_PROXY_URL)" $(VENV)/python -m pytest -m real_kong tests/kong/test_any_kong.py $(ARGS)

screenshots: setup browser ## every page, ko and en, light and dark, wide and narrow, into screenshots/
	@exec $(VENV)/python -m pytest -q tests/e2e/screenshots.py

messages: setup ## find new texts for locale/ (needs gettext's xgettext); translate them by hand
	@$(CHECK_ENV) $(VENV)/python -W ignore manage.py makemessages --locale ko --no-wrap --add-location file --no-obsolete --ignore .venv --ignore tests --ignore var --ignore typings --ignore demo

check: setup ## style, types, layers, migrations, deployment settings
	@$(VENV)/ruff check --quiet
	@$(VENV)/ruff format --check --quiet
	@$(CHECK_ENV) $(VENV)/mypy --no-error-summary
	@$(VENV)/lint-imports
	@$(CHECK_ENV) $(VENV)/python -W ignore::RuntimeWarning manage.py makemigrations --check --dry-run
	@$(CHECK_ENV) $(VENV)/python manage.py check --deploy --fail-level WARNING

clean: ## remove all that can be made again; the demo's data stays
	@rm -rf .venv .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis static-root $(MESSAGES)
	@find . -name __pycache__ -prune -exec rm -rf {} +

# Bytecode is compiled once here: without it each of the demo's processes starts a second later.
.venv/synced: pyproject.toml uv.lock | $(UV)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "imp-gateway needs Python 3.11 or newer: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@echo "Installing into .venv ..."
	@UV_PROJECT_ENVIRONMENT=.venv UV_PYTHON_DOWNLOADS=never $(UV) sync --quiet --frozen --compile-bytecode --python "$$(command -v $(PYTHON))"
	@touch $@

.uv/bin/uv:
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || { echo "Neither uv nor pip is here. Install one: https://docs.astral.sh/uv, or your system's python3-pip." >&2; exit 1; }
	@echo "Getting uv ..."
	@$(PYTHON) -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --target .uv uv

%.mo: %.po | .venv/synced
	@$(VENV)/pybabel --quiet compile --input-file $< --output-file $@

# The tests drive the Chromium of the system. Where there is none, root on Debian installs it; anybody else gets Playwright's own.
browser: | .venv/synced
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing Chromium ..."; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium fonts-noto-cjk >/dev/null; \
	else $(VENV)/playwright install chromium; fi
