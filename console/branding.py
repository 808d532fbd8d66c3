"""How the console looks and what its menu leads to: the settings of django-unfold."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest
from django.templatetags.static import static
from django.urls import reverse_lazy
from django.utils.translation import gettext_lazy as _


def _may_see(model: str) -> Callable[[HttpRequest], bool]:
    app, name = model.split(".")
    return lambda request: request.user.has_perm(f"{app}.view_{name}")


def _entry(title: Any, icon: str, model: str) -> dict[str, Any]:
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(f"admin:{model.replace('.', '_')}_changelist"),
        "permission": _may_see(model),
    }


UNFOLD: dict[str, Any] = {
    "SITE_TITLE": _("Uspacy external lines"),
    "SITE_HEADER": _("External lines"),
    "SITE_SUBHEADER": _("Support console"),
    "SITE_SYMBOL": "forum",
    "SITE_FAVICONS": [
        {"rel": "icon", "type": "image/svg+xml", "href": lambda request: static("console/favicon.svg")},
    ],
    "SITE_URL": None,  # there is no other site to view
    "SHOW_VIEW_ON_SITE": False,
    "SHOW_LANGUAGES": True,
    "SHOW_BACK_BUTTON": True,
    "DASHBOARD_CALLBACK": "console.home.context",
    "STYLES": [lambda request: static("console/console.css")],
    "SCRIPTS": [lambda request: static("console/console.js")],
    "BORDER_RADIUS": "8px",
    "COLORS": {
        "primary": {
            "50": "oklch(97% .014 254.604)",
            "100": "oklch(93.2% .032 255.585)",
            "200": "oklch(88.2% .059 254.128)",
            "300": "oklch(80.9% .105 251.813)",
            "400": "oklch(70.7% .165 254.624)",
            "500": "oklch(62.3% .214 259.815)",
            "600": "oklch(54.6% .245 262.881)",
            "700": "oklch(48.8% .243 264.376)",
            "800": "oklch(42.4% .199 265.638)",
            "900": "oklch(37.9% .146 265.522)",
            "950": "oklch(28.2% .091 267.935)",
        },
    },
    "SIDEBAR": {
        "show_search": False,
        "show_all_applications": False,
        "navigation": [
            {
                "items": [
                    {"title": _("Home"), "icon": "monitoring", "link": reverse_lazy("admin:index")},
                ],
            },
            {
                "title": _("Customers' messages"),
                "items": [
                    _entry(_("Chats"), "forum", "messaging.chat"),
                    _entry(_("Messages"), "chat_bubble", "messaging.message"),
                    _entry(_("Deliveries"), "local_shipping", "messaging.delivery"),
                ],
            },
            {
                "title": _("Connections"),
                "items": [
                    _entry(_("Portals"), "domain", "portals.portal"),
                    _entry(_("Lines"), "cable", "externallines.externalline"),
                    _entry(_("Webhook events"), "webhook", "messaging.webhookevent"),
                    _entry(_("SNS topics"), "campaign", "messaging.snstopic"),
                ],
            },
            {
                "title": _("Administration"),
                "separator": True,
                "items": [
                    _entry(_("Users"), "person", "auth.user"),
                    _entry(_("Groups"), "group", "auth.group"),
                    _entry(_("What staff did"), "history", "admin.logentry"),
                    _entry(_("Failed sign-ins"), "lock", "axes.accessattempt"),
                    _entry(_("Schedule"), "schedule", "django_celery_beat.periodictask"),
                ],
            },
        ],
    },
}
