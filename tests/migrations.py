"""`python -m tests.migrations`: whether every migration can run while the old version serves (`make check`).

That is: it only adds, with values that the old version need not know, and holds no lock for long. The first
migrations of the apps ran before anyone was served.
"""

import os
import sys

import django
from django_migration_linter import MigrationLinter

APPS = ["portals", "externallines", "messaging"]


def main() -> int:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    linter = MigrationLinter(
        include_apps=APPS, ignore_initial_migrations=True, all_warnings_as_errors=True, quiet=["ignore"]
    )
    linter.lint_all_migrations()
    return int(linter.has_errors)


if __name__ == "__main__":
    sys.exit(main())
