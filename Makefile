# Needs Python >= 3.11 (with venv) and make; everything else is brought into .venv.

PYTHON ?= python3
UV := uv==0.13.9

.PHONY: help demo test soak check bench screenshots format messages clean

help: ## show this
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "make %-11s %s\n", $$1, $$2}' Makefile

demo: .venv/synced ## run everything against a simulated Uspacy; ONCE=1 plays it once, CHANNEL=telegram picks a messenger
	.venv/bin/python -m tests.demo $(if $(filter-out 0,$(ONCE)),--once) $(if $(CHANNEL),--channel $(CHANNEL))

# All cores first, then one process, because the tests of the whole product share its processes.
test: .venv/synced ## run the tests; ARGS go to pytest, in one process
ifdef ARGS
	.venv/bin/python -m pytest $(ARGS)
else
	.venv/bin/python -m pytest --numprocesses auto --ignore tests/e2e
	.venv/bin/python -m pytest tests/e2e
endif

soak: .venv/synced ## break things for long: MINUTES=10 of storm, and more; ARGS go to pytest
	SOAK_MINUTES=$(or $(MINUTES),10) .venv/bin/python -m pytest -m soak tests/e2e $(ARGS)

# As in production, with throw-away values. There is no server to talk to: the database is Django's dummy. Only what
# migrations come to in SQL has to be asked of a real one.
check: export DEBUG = 0
check: export SECRET_KEY = throw-away-secret-key-of-make-check-0123456789-abcdefghij
check: export ALLOWED_HOSTS = lines.example.com
check: export PUBLIC_URL = https://lines.example.com
check: export DATABASE_URL = django.db.backends.dummy://localhost/none
check: export REDIS_URL = redis://localhost:1/0
check: export FIELD_ENCRYPTION_KEYS = throw-away-key-of-make-check-0123456789-000=
check: export USPACY_APP_CODE = app
check: export USPACY_CLIENT_ID = app
check: export USPACY_CLIENT_SECRET = throw-away-client-secret-of-make-check
check: .venv/synced ## lint, types, import rules, migrations, deployment settings
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python manage.py makemigrations --check --dry-run
	DEBUG=1 DATABASE_URL= REDIS_URL= .venv/bin/python -m tests.migrations
	.venv/bin/python manage.py check --deploy --fail-level WARNING

bench: .venv/synced ## run the benchmarks
	.venv/bin/python -m tests.benchmarks $(ARGS)

screenshots: .venv/synced ## take the console's pictures in docs/img anew; needs a Chromium in PATH
	.venv/bin/python -m tests.screenshots

format: .venv/synced ## format the code and fix what ruff can
	.venv/bin/ruff format
	.venv/bin/ruff check --fix

messages: .venv/synced ## bring the console's translations up to date with the code; needs GNU gettext
	.venv/bin/python -m tests.translations

clean: ## stop the embedded servers and remove .venv and .local
	-[ ! -x .venv/bin/python ] || .venv/bin/python -m config.embedded --stop
	rm -rf .venv .local

# --inexact keeps uv itself, which the lock does not name.
.venv/synced: pyproject.toml uv.lock | .venv/bin/uv
	UV_PROJECT_ENVIRONMENT=.venv .venv/bin/uv sync --quiet --frozen --inexact --python .venv/bin/python
	@touch $@

.venv/bin/uv:
	@$(PYTHON) -c 'import sys; sys.exit("Python >= 3.11 is needed: make PYTHON=python3.12" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check $(UV)
