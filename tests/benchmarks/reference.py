"""The least a web server can do: settings, URLs and views of a Django that only answers, or only inserts.

The Procfile's own command serves it, told by DJANGO_SETTINGS_MODULE to take these settings.
"""

import environ
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import path

env = environ.Env()

SECRET_KEY = env.str("SECRET_KEY")
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = __name__
MIDDLEWARE: list[str] = []
DATABASES = {"default": {**env.db_url_config(env.str("DATABASE_URL")), "CONN_MAX_AGE": None}}
USE_TZ = True
WEB_THREADS, URL_PREFIX = env.int("WEB_THREADS", default=4), ""  # what config.wsgi asks for
LOGGING_CONFIG = None


def bare(request: HttpRequest) -> HttpResponse:
    """Read the body and answer."""
    return _answer(200 if request.body else 400)


def insert(request: HttpRequest, key: str) -> HttpResponse:
    """Store the body once under its key and answer: what an acknowledged webhook needs at least."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO benchmark_event (key, payload) VALUES (%s, %s) ON CONFLICT (key) DO NOTHING",
            [key, request.body.decode()],
        )
    return _answer(200)


def _answer(status: int) -> HttpResponse:
    """An empty answer that tells its length, as the product's do thanks to a middleware."""
    return HttpResponse(status=status, headers={"Content-Length": "0"})


urlpatterns = [path("bare", bare), path("insert/<str:key>", insert)]
