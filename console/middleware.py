"""What only the console's requests pass."""

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.middleware.locale import LocaleMiddleware
from django.utils import translation


class ConsoleLocaleMiddleware(LocaleMiddleware):
    """Speak the language that staff chose, else their browser's. The API and what operators read stay English."""

    def process_request(self, request: HttpRequest) -> None:
        if _is_console(request):
            super().process_request(request)

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if _is_console(request):
            response = super().process_response(request, response)
            translation.deactivate()  # the next request of this thread may not be the console's
        return response


def _is_console(request: HttpRequest) -> bool:
    path = request.path_info.removeprefix(f"/{settings.URL_PREFIX}" if settings.URL_PREFIX else "")
    return path.startswith("/admin/") or path == "/admin"
