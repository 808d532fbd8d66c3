"""What things are called: in headings as in the menu, and in the viewer's language."""

import pytest
from django.apps import apps
from django.utils.functional import Promise

from console.names import NAMES

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("url", "heading"),
    [
        ("externallines/externalline", "Lines"),
        ("admin/logentry", "What staff did"),
        ("axes/accessattempt", "Failed sign-ins"),
        ("django_celery_beat/periodictask", "Schedule"),
        ("messaging/snstopic", "SNS topics"),
    ],
)
def test_a_list_is_called_as_in_the_menu(admin_client, url, heading):
    html = admin_client.get(f"/admin/{url}/").content.decode()
    title = html[html.index("<title>") : html.index("</title>")]
    assert heading.lower() in title.lower()
    assert html.count(heading) >= 2  # the menu, and the heading


def test_all_names_can_be_translated():
    assert all(isinstance(name, Promise) for names in NAMES.values() for name in names)


def test_all_states_and_kinds_can_be_translated():
    fields = [
        field
        for app in ("portals", "externallines", "messaging")
        for model in apps.get_app_config(app).get_models()
        for field in model._meta.get_fields()
        if getattr(field, "choices", None)
    ]
    assert len(fields) >= 8
    for field in fields:
        assert all(isinstance(label, Promise) for _value, label in field.choices), field
