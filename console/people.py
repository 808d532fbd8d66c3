"""Staff, their groups, and what they did."""

from typing import Any

from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth.admin import GroupAdmin as DjangoGroupAdmin
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.contrib.auth.models import Permission, User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext_lazy
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from console.base import ConsoleAdmin
from console.formats import MISSING, moment

ACTIONS = {
    "view": gettext_lazy("Can view"),
    "add": gettext_lazy("Can add"),
    "change": gettext_lazy("Can change"),
    "delete": gettext_lazy("Can delete"),
}


class RightsInWords:
    """A form in which rights are named in the viewer's language."""

    def formfield_for_manytomany(self, *args: Any, **kwargs: Any) -> Any:
        field = super().formfield_for_manytomany(*args, **kwargs)  # type: ignore[misc]
        if field is not None and field.queryset.model is Permission:
            field.label_from_instance = right
        return field


def right(permission: Permission) -> str:
    action = ACTIONS.get(permission.codename.partition("_")[0])
    return f"{permission.content_type.name} | {action or _(permission.name)}"


class UserAdmin(RightsInWords, DjangoUserAdmin, ModelAdmin):
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "full_name", "role", "is_active", "signed_in")
    list_filter = ("is_active", "is_superuser", "groups")

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("groups")

    @admin.display(description=pgettext_lazy("of a person", "Name"))
    def full_name(self, user: User) -> str:
        return user.get_full_name() or MISSING

    @admin.display(description=gettext_lazy("Role"))
    def role(self, user: User) -> str:
        groups = [group.name for group in user.groups.all()]
        return ", ".join([_("Superuser"), *groups] if user.is_superuser else groups) or MISSING

    @admin.display(description=gettext_lazy("Signed in"), ordering="last_login")
    def signed_in(self, user: User) -> str:
        return moment(user.last_login)


class GroupAdmin(RightsInWords, DjangoGroupAdmin, ModelAdmin):
    pass


class LogEntryAdmin(ConsoleAdmin):
    """Django's log of who did what in the console."""

    finds = gettext_lazy("a user's name, or the beginning of what a row is called")
    list_display = ("when", "user", "what", "kind", "row")
    list_select_related = ("user", "content_type")
    fields = ("when", "user", "what", "kind", "row")

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        return queryset.filter(Q(user__username__iexact=text) | Q(object_repr__istartswith=text))

    @admin.display(description=gettext_lazy("When"))
    def when(self, entry: LogEntry) -> str:
        return moment(entry.action_time)

    @admin.display(description=gettext_lazy("What"))
    def what(self, entry: LogEntry) -> str:
        return _(entry.get_change_message()) or str(entry.get_action_flag_display())

    @admin.display(description=gettext_lazy("Kind"))
    def kind(self, entry: LogEntry) -> str:
        return entry.content_type.name if entry.content_type else MISSING

    @admin.display(description=gettext_lazy("Of"))
    def row(self, entry: LogEntry) -> str | SafeString:
        url = None if entry.is_deletion() else entry.get_admin_url()
        return format_html('<a href="{}">{}</a>', url, entry.object_repr) if url else entry.object_repr
