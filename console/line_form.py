"""The forms in which a line is added and changed: their fields follow the channel.

A credential, once stored, is in no form: it says that a value is set, and an empty field keeps it. A secret that
was just entered is not sent back either, whatever else was wrong.
"""

from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
    UnfoldAdminURLInputWidget,
)

from console.lookups import portals_named
from externallines.channels import CHANNELS
from externallines.channels.base import CredentialField, InvalidCredentials
from externallines.models import ExternalLine
from externallines.services import Profile
from portals.models import Portal

PREFIX = "credential-"
PROFILE = ("name", "icon", "phone_number")
SUGGESTED = 5


class WhereForm(forms.Form):
    """Which portal, and which channel."""

    portal = forms.CharField(
        label=gettext_lazy("Portal"),
        help_text=gettext_lazy("Its domain, such as acme.uspacy.ua, or the beginning of it."),
        max_length=253,
        widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
    )
    channel = forms.ChoiceField(label=gettext_lazy("Channel"), widget=forms.RadioSelect)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(slug, channel.label) for slug, channel in CHANNELS.items()]
        self.fields["channel"].choices = choices  # type: ignore[attr-defined]
        self.suggested: list[Portal] = []

    def clean_portal(self) -> Portal:
        """Return the portal that has this domain, or is the only one whose domain begins so."""
        text = self.cleaned_data["portal"].strip().lower()
        found = list(Portal.objects.filter(pk__in=portals_named(text)).order_by("domain")[: SUGGESTED + 1])
        if not found:
            raise forms.ValidationError(_("No portal has a domain that begins so."))
        if len(found) > 1:
            self.suggested = found[:SUGGESTED]
            raise forms.ValidationError(_("Several portals begin so. Which one?"))
        [portal] = found
        if not portal.is_active:
            raise forms.ValidationError(
                _("The app has to be installed again on %(portal)s first.") % {"portal": portal}
            )
        return portal


class LineForm(forms.Form):
    """How a line looks, and what its channel needs to be told."""

    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=255,
        required=False,
        help_text=gettext_lazy(
            "Unique in the portal. Without one, and a picture or number, it takes its account's."
        ),
        widget=UnfoldAdminTextInputWidget(),
    )
    icon = forms.URLField(
        label=gettext_lazy("Picture"),
        max_length=1000,
        required=False,
        assume_scheme="https",
        help_text=gettext_lazy("The address of a picture, which Uspacy shows beside the line."),
        widget=UnfoldAdminURLInputWidget(),
    )
    phone_number = forms.CharField(
        label=gettext_lazy("Phone number"), max_length=64, required=False, widget=UnfoldAdminTextInputWidget()
    )

    def __init__(self, channel: str, data: Any = None, *, stored: Any = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.channel = CHANNELS[channel]
        for field in self.channel.credential_fields:
            self.fields[PREFIX + field.name] = _form_field(field, is_set=bool((stored or {}).get(field.name)))

    @property
    def credentials(self) -> dict[str, str]:
        """What was entered of the channel's fields."""
        return {
            name.removeprefix(PREFIX): value
            for name, value in self.cleaned_data.items()
            if name.startswith(PREFIX) and value
        }

    @property
    def profile(self) -> Profile:
        return Profile(**{name: self.cleaned_data[name] for name in PROFILE})

    @property
    def profile_fields(self) -> list[forms.BoundField]:
        return [self[name] for name in PROFILE]

    @property
    def credential_fields(self) -> list[forms.BoundField]:
        return [self[PREFIX + field.name] for field in self.channel.credential_fields]

    def refuse(self, exc: InvalidCredentials) -> None:
        """Show why the channel does not take what was entered, at the field if it is one's."""
        name = PREFIX + exc.field
        self.add_error(name if name in self.fields else None, str(exc))


class EditForm(LineForm):
    """The form of a line that there is: a credential that is set is optional, as an empty field keeps it."""

    def __init__(self, line: ExternalLine, data: Any = None) -> None:
        initial = {name: getattr(line, name) for name in PROFILE}
        super().__init__(line.channel, data, stored=line.credentials, initial=initial)
        self.fields["name"].required = True

    @property
    def changed_profile(self) -> Profile | None:
        """How the line shall look, None if that stays."""
        return self.profile if set(self.changed_data) & set(PROFILE) else None


def _form_field(field: CredentialField, *, is_set: bool) -> forms.Field:
    required = field.required and not is_set
    label, help_text = _(field.label), _(field.help_text)
    if is_set:
        help_text = " ".join((_("Leave it empty to keep it."), help_text))
    if field.choices:
        empty = _("Set") if is_set else "—"
        return forms.ChoiceField(
            label=label,
            help_text=help_text,
            required=required,
            choices=[("", empty), *((choice, choice) for choice in field.choices)],
            widget=UnfoldAdminSelectWidget(),
        )
    attrs = {"autocomplete": "new-password" if field.secret else "off", "spellcheck": "false"}
    if is_set:
        attrs["placeholder"] = _("Set")
    return forms.CharField(
        label=label,
        help_text=help_text,
        required=required,
        max_length=2000,
        widget=UnfoldAdminPasswordWidget(attrs=attrs) if field.secret else UnfoldAdminTextInputWidget(attrs=attrs),
    )
