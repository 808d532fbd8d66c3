"""What all pages of the console share: read-only, keyset pages, actions that need a right and are logged."""

import functools
import uuid
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils.html import escape
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.safestring import mark_safe
from django.utils.text import capfirst
from django.utils.translation import get_language, override
from django.utils.translation import gettext as _
from unfold.admin import ModelAdmin, checkbox
from unfold.views import ChangeList

from console import keyset

if TYPE_CHECKING:
    from django.utils.functional import _StrPromise as StrPromise

AFTER, BEFORE = "after", "before"

# By what our pages narrow a list, besides its own filters.
LINKED = {
    *("id__gte", "id__lte", "message", "chat", "warning__gt"),
    *("direction__exact", "status__exact", "outcome__exact"),
}
LINKED_MOMENTS = {"created_at__gte", "created_at__lt", "settled_at__gte", "expires_at__lt"}


def as_uuid(text: str) -> uuid.UUID | None:
    """Return the id that somebody searches for, None (which no row has) if it is none."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def as_id(text: str) -> int | None:
    """Return the key that somebody names, None (which no row has) if it is none."""
    return int(text) if text.isdecimal() and len(text) < 19 else None


def back_of(request: HttpRequest) -> str:
    """Return the address in this console from which an action was started, "" where none is told."""
    back: str = request.POST.get("back", "")
    return back if url_has_allowed_host_and_scheme(back, allowed_hosts=None) else ""


class KeysetChangeList(ChangeList):
    """A list that is paged by cursors. It counts nothing: of a whole table it tells PostgreSQL's estimate."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        asked = request.GET.copy()
        self.after, self.before = (asked.pop(name, [""])[-1] for name in (AFTER, BEFORE))
        request.GET = asked  # type: ignore[assignment]  # what is left are filters: links to others begin anew
        super().__init__(request, *args, **kwargs)
        self.title = capfirst(self.opts.verbose_name_plural)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[str]:
        return list(self.model_admin.keyset)

    def get_results(self, request: HttpRequest) -> None:
        self.note = ""
        try:
            page = self.get_page()
        except keyset.InvalidCursor as exc:
            raise IncorrectLookupParameters from exc
        self.result_list = page.rows
        self.result_count = self.full_result_count = len(page.rows)
        self.show_full_result_count = self.show_admin_actions = True
        self.can_show_all = self.multi_page = False
        self.paginator = Paginator(page.rows, self.list_per_page)
        self.previous_url = self.get_query_string({BEFORE: page.previous}) if page.previous else ""
        self.next_url = self.get_query_string({AFTER: page.next}) if page.next else ""
        self.first_url = self.get_query_string() if self.after or self.before else ""
        self.estimate = 0 if self.queryset.query.where else keyset.estimate(self.model)

    def get_page(self) -> keyset.Page[Any]:
        """Return the rows of this page. Raises InvalidCursor."""
        return keyset.page(
            self.queryset,
            self.model_admin.keyset,
            size=self.list_per_page,
            after=self.after,
            before=self.before,
        )


@functools.cache
def _checkbox(language: str) -> str:
    """Return the box before a row, with a place for its key: the widget takes a tenth of a long list's time."""
    box: str = checkbox.render(ACTION_CHECKBOX_NAME, "KEY")
    return box


class ConsoleAdmin(ModelAdmin):
    """A list and its pages to look at; what can be done are actions, each with its permission."""

    keyset: Sequence[str] = ("-id",)  # the order of the list; an index has it
    finds: "str | StrPromise" = ""  # what the search looks for, as a sentence; `find` does it
    page_actions: Sequence[str] = ()  # the actions that are buttons on the page of one row

    change_list_template = "console/change_list.html"
    change_form_template = "console/change_form.html"
    actions_selection_counter = True
    list_disable_select_all = True
    list_fullwidth = True
    list_per_page = 30
    sortable_by = ()
    show_full_result_count = False
    show_facets = ShowFacets.NEVER  # they count the whole table

    def find(self, queryset: QuerySet[Any], text: str) -> QuerySet[Any]:
        """Keep what a text names, by look-ups that have an index."""
        raise NotImplementedError

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Whether a list may be narrowed so: only as our pages do it, in the way that they write it.

        With any other one could guess at a text without the right to read it, or look through a whole table.
        """
        if "\x00" in value:
            return False
        if lookup in LINKED_MOMENTS:
            return value.endswith("+00:00")  # PostgreSQL does not know all zones that Python does
        return lookup in LINKED or lookup in self._filters()

    def _filters(self) -> Iterator[str]:
        """Yield the parameters of this list's filters."""
        for entry in self.list_filter:
            match entry:
                case str() as field:
                    yield f"{field}__exact"
                case (str() as field, _kind):
                    yield f"{field}__exact"
                case _:
                    yield entry.parameter_name

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        return False  # no form chooses one of these by autocompletion, which would count the whole table

    def get_search_fields(self, request: HttpRequest) -> Sequence[str]:
        return ("pk",) if self.finds else ()  # only whether there are any matters

    @property
    def search_help_text(self) -> "str | StrPromise":
        return capfirst(self.finds)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        text = search_term.strip().replace("\x00", "")
        return (self.find(queryset, text) if text else queryset), False

    @admin.display(description=ModelAdmin.action_checkbox.short_description)
    def action_checkbox(self, obj: Model) -> str:
        return mark_safe(_checkbox(get_language()).replace("KEY", escape(obj.pk)))  # noqa: S308

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[KeysetChangeList]:
        return KeysetChangeList

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def may(self, request: HttpRequest, codename: str) -> bool:
        """Whether the user has a permission of this model's app."""
        return request.user.has_perm(f"{self.opts.app_label}.{codename}")

    def record(self, request: HttpRequest, row: Model, what: str) -> None:
        """Write what the user did to a row into Django's log, which is in English as all that is stored."""
        with override("en"):
            self.log_change(request, row, what)

    def few(self, request: HttpRequest, rows: QuerySet[Any], most: int) -> list[Any]:
        """Return chosen rows, none if they are more than can be done while somebody waits, who is told so."""
        chosen = list(rows[: most + 1])
        if len(chosen) > most:
            self.tell(request, _("Choose at most %(number)s at a time.") % {"number": most}, ok=False)
            return []
        return chosen

    def buttons(self, request: HttpRequest) -> list[tuple[str, str]]:
        """Return name and label of the actions that are buttons on a row's page, of those the user may run."""
        offered = self.get_actions(request)
        return [(name, offered[name][2]) for name in self.page_actions if name in offered]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show one row, with its actions as buttons, which post to the list as if the row was chosen there."""
        context = {"page_actions": self.buttons(request), **(extra_context or {})}
        response: HttpResponse = super().change_view(request, object_id, form_url, context)
        return response

    def response_action(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse:
        """Run an action on the chosen rows, and go back to the page that it was started from."""
        named = request.POST.getlist(ACTION_CHECKBOX_NAME)
        chosen = [pk for pk in map(as_id, named) if pk is not None]
        posted = request.POST.copy()
        posted.setlist(ACTION_CHECKBOX_NAME, list(map(str, chosen)))  # where Django looks as well
        request.POST = posted  # type: ignore[assignment]
        response: HttpResponse = super().response_action(request, queryset.filter(pk__in=chosen))
        back = back_of(request)
        return HttpResponseRedirect(back) if back and isinstance(response, HttpResponseRedirect) else response

    def tell(self, request: HttpRequest, text: str, *, ok: bool = True) -> None:
        self.message_user(request, text, messages.SUCCESS if ok else messages.WARNING)
