"""`python -m tests.translations`: brings the console's translations up to date with the code (`make messages`).

Needs GNU gettext. What is read is the code, django-unfold, and the words that have no call of gettext: what staff
see of the other packages, the fields of a channel's form, rights.
"""

import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import polib

LANGUAGES = ("uk",)
SOURCES = ("config", "console", "externallines", "messaging", "portals", "templates")
UNSEEN = ("*.pyc", "static", "migrations", "seeding", "contrib", "unfold_crispy")
WORDS = "words.py"
HEADER = {"Project-Id-Version": "uspacy-external-lines", "MIME-Version": "1.0"}
HEADER |= {"Content-Type": "text/plain; charset=UTF-8", "Content-Transfer-Encoding": "8bit"}
# Django's words are in the nominative; "ago" and "in" need the accusative.
SPANS = ("hour", "minute")
# What Django says of any row, in words that fit few Ukrainian names of rows.
REPHRASED = (
    "Add %s",
    "Change %s",
    "View %s",
    "Select %s",
    "Select %s to change",
    "Select %s to view",
    "Add %(name)s",
    "Cannot delete %(name)s",
    "Select all %(total_count)s %(module_name)s",
    " By %(filter_title)s ",
)
# What else is translated where it is shown: the log of what staff did, and why an event was ignored.
KEYWORDS = ("record:3", "_record:3", "requeue:3", "log_addition:3", "log_actions:4", "Ignored:1", "Irrelevant:1")
F_STRING = re.compile(r"\{[^}\"]")  # which some versions of xgettext take for a text
MOST_CHOICES = 20  # a field with more has time zones


def main() -> int:
    from django.conf import settings

    [locale] = settings.LOCALE_PATHS
    with TemporaryDirectory() as folder:
        for language in LANGUAGES:
            catalogue = extract(language, Path(folder))
            target = catalogue_of(language, Path(locale))
            target.parent.mkdir(parents=True, exist_ok=True)
            catalogue.save(str(target))
            catalogue.save_as_mofile(str(target.with_suffix(".mo")))
            left = [*catalogue.untranslated_entries(), *catalogue.fuzzy_entries()]
            print(f"{target.relative_to(Path.cwd())}: {len(catalogue)} entries, {len(left)} to be translated")
            for entry in left:
                print(f"  {entry.msgid!r}")
    return 0


def catalogue_of(language: str, locale: Path) -> Path:
    return locale / language / "LC_MESSAGES" / "django.po"


def extract(language: str, folder: Path) -> polib.POFile:
    """Return the catalogue of a language as the code wants it, with the translations that there are."""
    import unfold
    from django.conf import settings
    from django.core.management import call_command
    from django.core.management.commands import makemessages
    from django.test import override_settings

    class MakeMessages(makemessages.Command):
        xgettext_options = [*makemessages.Command.xgettext_options, *(f"--keyword={word}" for word in KEYWORDS)]

    packages = Path(unfold.__file__).parent
    for source in (*(settings.BASE_DIR / name for name in SOURCES), packages, packages / "contrib" / "filters"):
        shutil.copytree(source, folder / source.name, ignore=shutil.ignore_patterns(*UNSEEN), dirs_exist_ok=True)
    (folder / WORDS).write_text("\n".join(_calls()))
    locale = folder / "locale"
    shutil.copytree(settings.LOCALE_PATHS[0], locale, dirs_exist_ok=True)
    with chdir(folder), override_settings(LOCALE_PATHS=[str(locale)]):
        call_command(MakeMessages(), locale=[language], no_wrap=True, add_location="file", verbosity=0)
    return _tidied(polib.pofile(str(catalogue_of(language, locale)), wrapwidth=10**6), language)


def _tidied(catalogue: polib.POFile, language: str) -> polib.POFile:
    """Leave out what Django says already, and all that would change without a change of the text."""
    known = {entry.msgid for entry in _django(language)}
    ours = tuple(f"{name}/" for name in SOURCES)
    for entry in list(catalogue):
        is_ours = any(place.startswith((*ours, WORDS)) for place, _line in entry.occurrences)
        entry.occurrences = [place for place in entry.occurrences if place[0].startswith(ours)]
        entry.comment = ""
        if entry.obsolete or (not is_ours and entry.msgid in known) or F_STRING.search(entry.msgid):
            catalogue.remove(entry)
    catalogue.header = ""
    catalogue.metadata_is_fuzzy = False
    plural = catalogue.metadata["Plural-Forms"]
    catalogue.metadata = {**HEADER, "Language": language, "Plural-Forms": plural}
    return catalogue


def _django(language: str) -> Iterator[polib.POEntry]:
    import django
    from django.apps import apps

    contrib = (Path(app.path) for app in apps.get_app_configs() if app.name.startswith("django."))
    for folder in (Path(django.__file__).parent / "conf", *contrib):
        if (path := catalogue_of(language, folder / "locale")).exists():
            yield from polib.pofile(str(path)).translated_entries()


def _calls() -> Iterator[str]:
    yield "from django.utils.translation import gettext as _, ngettext"
    for word in sorted(set(filter(None, words()))):
        yield f"_({word!r})"
    for span in SPANS:
        yield f'ngettext("%(num)d {span}", "%(num)d {span}s", number)'


def words() -> Iterator[str]:
    """Yield what staff read and no call of gettext names."""
    from django.apps import apps
    from django.contrib import admin
    from django.utils.translation import override

    from externallines.channels import CHANNELS
    from externallines.channels.events import MediaKind
    from messaging.uspacy_events import MESSAGE_TYPES

    with override(None):
        yield from REPHRASED
        yield from (kind.capitalize() for kind in (*MediaKind, *MESSAGE_TYPES, "phone", "username"))
        for channel in CHANNELS.values():
            for field in channel.credential_fields:
                yield from (field.label, field.help_text)
        for model in apps.get_models():
            if model._meta.app_label in SOURCES:
                yield from (name for _codename, name in model._meta.permissions)
        for model, model_admin in admin.site._registry.items():
            if model._meta.app_label not in SOURCES and not model.__module__.startswith("django."):
                yield from (str(model._meta.verbose_name), str(model._meta.verbose_name_plural))
                yield from (str(action.short_description) for action in _actions(model_admin))
                yield from (str(field.label) for field in model_admin.form.declared_fields.values())
                for field in _shown(model_admin):
                    yield from (str(field.verbose_name), str(field.help_text))
                    if len(field.flatchoices) < MOST_CHOICES:
                        yield from (str(label) for _value, label in field.flatchoices)


def _shown(model_admin):
    """Yield the fields of an admin's list and form."""
    from django.contrib.admin.utils import flatten_fieldsets

    form = flatten_fieldsets(model_admin.fieldsets or ()) or model_admin.fields
    if form is None:
        form = [field.name for field in model_admin.opts.fields if field.editable and not field.auto_created]
    names = {*model_admin.list_display, *form}
    yield from (field for field in model_admin.opts.fields if field.name in names)


def _actions(model_admin):
    methods = (getattr(model_admin, name) for name in model_admin.actions)
    return [action for action in methods if hasattr(action, "short_description")]


if __name__ == "__main__":
    import django

    import tests.environment  # noqa: F401  the settings want values

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    sys.exit(main())
