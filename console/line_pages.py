"""Adding a line, and giving it new credentials. What was entered is never shown again."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.debug import sensitive_post_parameters

from console import channels
from console.base import ConsoleAdmin
from console.formats import page_url
from console.line_form import EditForm, LineForm, WhereForm
from externallines import services
from externallines.channels import CHANNELS
from externallines.channels.base import InvalidCredentials
from externallines.models import ExternalLine
from portals.http import RemoteError
from portals.models import Portal

without_secrets = method_decorator(sensitive_post_parameters())  # an error report shows nothing that was entered


class LinePages(ConsoleAdmin):
    """The pages of a line that have a form."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self.may(request, "add_externalline")

    def may_edit(self, request: HttpRequest) -> bool:
        return self.may(request, "change_externalline")

    @without_secrets
    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for portal and channel, then for what the channel needs."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        asked = request.GET
        where = WhereForm(asked if "channel" in asked else None, initial={"portal": asked.get("portal", "")})
        if not where.is_valid():
            return self.page(request, "console/line_where.html", title=_("Add a line"), form=where)
        portal, channel = where.cleaned_data["portal"], where.cleaned_data["channel"]
        form = LineForm(channel, request.POST or None)
        if form.is_valid() and (line := self._connect(request, portal, channel, form)):
            revealed = services.get_channel(line).reveal()
            if revealed:  # in the answer itself: what a redirect carries along is stored
                return self.page(request, "console/line_secret.html", title=line, line=line, revealed=revealed)
            return HttpResponseRedirect(page_url(line))
        title = _("Connect %(channel)s to %(portal)s") % {"channel": channels.label(channel), "portal": portal}
        return self._form(request, form, title=title, channel=channel, portal=portal)

    @without_secrets
    def edit_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Change a line's name and credentials, and connect it again with them."""
        if not self.may_edit(request):
            raise PermissionDenied
        line = ExternalLine.objects.select_related("portal").filter(pk=pk).first()
        if line is None or line.channel not in CHANNELS:
            raise Http404
        form = EditForm(line, request.POST or None)
        if form.is_valid() and self._change(request, line, form):
            return HttpResponseRedirect(page_url(line))
        title = _("Change %(line)s") % {"line": line}
        return self._form(request, form, title=title, channel=line.channel, portal=line.portal, line=line)

    def reconnect_line(self, request: HttpRequest, line: ExternalLine) -> None:
        """Connect a line again, and say what came of it."""
        try:
            line = services.reconnect(line)
        except services.AlreadyConnected as exc:
            self.record(request, line, f"Tried to reconnect: {exc}")
            self.tell(request, f"{line}: {exc}", ok=False)
        else:
            self.record(request, line, f"Reconnected: {line.status}.")
            self._tell_state(request, line)

    def _connect(self, request: HttpRequest, portal: Portal, channel: str, form: LineForm) -> ExternalLine | None:
        try:
            line = services.connect(
                portal=portal, channel=channel, profile=form.profile, credentials=form.credentials
            )
        except InvalidCredentials as exc:
            form.refuse(exc)
            return None
        except services.AlreadyConnected as exc:
            form.add_error(None, str(exc))
            return None
        with override("en"):
            self.log_addition(request, line, "Connected.")
        self._tell_state(request, line)
        return line

    def _change(self, request: HttpRequest, line: ExternalLine, form: EditForm) -> bool:
        try:
            services.change(line, profile=form.changed_profile, credentials=form.credentials or None)
        except InvalidCredentials as exc:
            form.refuse(exc)
            return False
        except RemoteError as exc:
            form.add_error(None, str(exc))
            return False
        self.record(request, line, f"Changed: {', '.join(form.changed_data)}.")
        if form.credentials:
            self.reconnect_line(request, line)
        else:
            self.tell(request, _("%(line)s is changed.") % {"line": line})
        return True

    def _tell_state(self, request: HttpRequest, line: ExternalLine) -> None:
        state = f"{line}: {line.get_status_display()}"
        self.tell(request, f"{state}. {line.error}" if line.error else f"{state}.", ok=not line.error)

    def _form(self, request: HttpRequest, form: LineForm, *, channel: str, **context: Any) -> HttpResponse:
        context |= {"form": form, "channel": channel, "channel_label": channels.label(channel)}
        return self.page(request, "console/line_form.html", **context)

    def page(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """Show a page of the console's own."""
        context = {**self.admin_site.each_context(request), "opts": self.opts, **context}
        return TemplateResponse(request, template, context)
