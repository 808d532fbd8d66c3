"""The web process."""

import os
import threading
from collections.abc import Iterable
from io import BytesIO
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.conf import settings
from django.core.wsgi import get_wsgi_application

from portals import gate

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

LIVE = ("/health/live", f"/{settings.URL_PREFIX}/health/live")  # asks for nothing, and waits for nobody's place


class WholeBodies:
    """Lets Django work on a request once all of its body is there, and on so many at a time.

    The server starts a request with its head, and sets no time for its body: who sends that byte by byte, or not
    at all, holds a thread. Those are many and cheap (the Procfile's `--blocking-threads`), and here they hold
    nothing else: no place among those at work, no connection to the database.
    """

    def __init__(self, application: WSGIApplication) -> None:
        self._application = application
        self._places = threading.BoundedSemaphore(settings.WEB_THREADS)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        length = environ.get("CONTENT_LENGTH", "")
        if length.isdecimal() and int(length) <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE:  # Django refuses the others
            environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(length)))
        if environ.get("PATH_INFO", "").rstrip("/") in LIVE:
            return self._application(environ, start_response)
        with self._places:
            return self._application(environ, start_response)


application = WholeBodies(get_wsgi_application())
gate.threads = max(1, settings.WEB_THREADS - 1)  # one is always left for what calls nobody
