"""All settings, read from the environment.

A variable without a default must be set: starting without it fails with an error that names it.
Wrong combinations are system checks (`config/checks.py`).
"""

import os
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF, UNSAFE_EVAL, UNSAFE_INLINE
from django.core.exceptions import ImproperlyConfigured
from kombu import Exchange, Queue

from config import logs, reports
from console.branding import UNFOLD  # noqa: F401  the console's looks

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.Env()


def required(name: str) -> str:
    """Return a variable that has to be set, as it is: to django-environ `$x` would be a reference to `x`."""
    if not (value := os.environ.get(name, "")):
        raise ImproperlyConfigured(f"Set the {name} environment variable")
    return value


def comma_list(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


# Process

DEBUG = env.bool("DEBUG", default=False)
SECRET_KEY = required("SECRET_KEY")
WEB_THREADS = env.int("WEB_THREADS", default=4)  # requests that a web process works on at a time
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()

# Where the world reaches us

PUBLIC_URL = required("PUBLIC_URL").rstrip("/")
URL_PREFIX = env.str("URL_PREFIX", default="").strip("/")
ALLOWED_HOSTS = comma_list(env.str("ALLOWED_HOSTS", default="*" if DEBUG else urlsplit(PUBLIC_URL).hostname or ""))

# PostgreSQL and Redis; with DEBUG the embedded ones stand in

if DEBUG and not (env.str("DATABASE_URL", default="") and env.str("REDIS_URL", default="")):
    from config import embedded

    DATABASE_URL = env.str("DATABASE_URL", default="") or embedded.postgres_url()
    REDIS_URL = env.str("REDIS_URL", default="") or embedded.valkey_url()
else:
    DATABASE_URL = required("DATABASE_URL")
    REDIS_URL = required("REDIS_URL")

DATABASE = env.db_url_config(DATABASE_URL)
if DATABASE["ENGINE"] == "django.db.backends.postgresql":
    DATABASE["ENGINE"] = "config.postgres"
DATABASE["OPTIONS"] = {
    # Opened as threads need them; a webhook would rather answer 503 than wait long.
    "pool": {"min_size": 1, "max_size": env.int("WORKER_THREADS", default=32) + 8, "timeout": 10},
    "connect_timeout": 5,
    "prepare_threshold": 2,  # for hand-written statements (portals/rows.py): then they are parsed and planned once
    # A statement that takes longer has gone wrong; nobody waits for it.
    "options": "-c statement_timeout=30s -c lock_timeout=10s",
    **DATABASE.get("OPTIONS", {}),  # what the URL's query says, as sslmode
}
DATABASES = {"default": DATABASE}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# The only cache users are API throttles: per process is precise enough and needs no server.
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "OPTIONS": {"MAX_ENTRIES": 20_000},  # a portal is an entry
    }
}

# Uspacy

FIELD_ENCRYPTION_KEYS = comma_list(required("FIELD_ENCRYPTION_KEYS"))
USPACY_APP_CODE = required("USPACY_APP_CODE")
USPACY_CLIENT_ID = required("USPACY_CLIENT_ID")
USPACY_CLIENT_SECRETS = comma_list(required("USPACY_CLIENT_SECRET"))
USPACY_DOMAINS = comma_list(
    env.str("USPACY_DOMAINS", default="uspacy.ua,uspacy.com,uspacy.pl,uspacy.com.br,uspacy.eu").lower()
)
DEFAULT_USPACY_API_URL = "https://{domain}"
USPACY_API_URL = env.str("USPACY_API_URL", default=DEFAULT_USPACY_API_URL)
SNS_TOPIC_ARNS = comma_list(env.str("SNS_TOPIC_ARNS", default=""))
# A certificate of Amazon's (a .pem file) or a confirmation link (only a query); uspacy-api.md 9.1
DEFAULT_SNS_CERT_URL_PATTERN = (
    r"^https://sns\.[a-z]{2}(-[a-z]+)+-\d+\.amazonaws\.com(\.cn)?/([A-Za-z0-9_-]+\.pem|\?[^#\s]*)$"
)
SNS_CERT_URL_PATTERN = env.str("SNS_CERT_URL_PATTERN", default=DEFAULT_SNS_CERT_URL_PATTERN)
ALLOW_PRIVATE_NETWORKS = env.bool("ALLOW_PRIVATE_NETWORKS", default=False)

# Messengers: the hosts of their APIs

TELEGRAM_API_URL = env.str("TELEGRAM_API_URL", default="https://api.telegram.org").rstrip("/")
VIBER_API_URL = env.str("VIBER_API_URL", default="https://chatapi.viber.com").rstrip("/")
META_GRAPH_URL = env.str("META_GRAPH_URL", default="https://graph.facebook.com").rstrip("/")
INSTAGRAM_GRAPH_URL = env.str("INSTAGRAM_GRAPH_URL", default="https://graph.instagram.com").rstrip("/")

# Limits

MAX_ATTACHMENT_MB = env.int("MAX_ATTACHMENT_MB", default=50)
DELIVERY_MAX_AGE_HOURS = env.int("DELIVERY_MAX_AGE_HOURS", default=24)
WEBHOOK_EVENT_DAYS = env.int("WEBHOOK_EVENT_DAYS", default=14)
DATA_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024  # the largest webhook of any messenger (Meta)

# Django

INSTALLED_APPS = [
    "console",
    "messaging",
    "externallines",
    "portals",
    "config",
    "django_celery_beat",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "unfold",  # before the admin, whose templates it replaces
    "unfold.contrib.filters",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "axes",
    "csp",
]
MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "config.middleware.ContentLengthMiddleware",
    "config.middleware.RequestLogMiddleware",
    "config.middleware.RoutingMiddleware",  # here webhooks leave: what follows is for people
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # No CommonMiddleware: it would refuse health probes, which name us by address. Where a host name matters,
    # in links and in the admin's forms, Django checks it all the same.
    "django.contrib.sessions.middleware.SessionMiddleware",
    "console.middleware.ConsoleLocaleMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "csp.middleware.CSPMiddleware",
    "axes.middleware.AxesMiddleware",  # the last, as it answers a locked login
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
APPEND_SLASH = False  # a redirect would turn a POST or DELETE of Uspacy's into a GET
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("uk", "Українська")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = f"/{URL_PREFIX}/static/" if URL_PREFIX else "/static/"
WHITENOISE_USE_FINDERS = True  # served from the packages: no collectstatic step to forget

# Behind a load balancer that ends TLS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_HSTS_INCLUDE_SUBDOMAINS = not DEBUG
SECURE_HSTS_PRELOAD = not DEBUG
SECURE_SSL_REDIRECT = False  # never redirect a webhook; the load balancer closes plain HTTP
SILENCED_SYSTEM_CHECKS = [
    "security.W008",  # SECURE_SSL_REDIRECT, see above
    "urls.W005",  # every path is there twice, bare and under URL_PREFIX
]
SESSION_COOKIE_SECURE = not DEBUG
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600  # a working day, from signing in
SESSION_EXPIRE_AT_BROWSER_CLOSE = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"  # a link in a ticket leads to a page, not to the sign-in
CSRF_COOKIE_SECURE = not DEBUG
SECURE_REFERRER_POLICY = "same-origin"  # other sites do not learn which portal or chat somebody came from
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(PUBLIC_URL))]
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, UNSAFE_EVAL],  # the console's Alpine evaluates attributes of its templates
        "style-src": [SELF, UNSAFE_INLINE],  # and has colours and positions in them
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "base-uri": [NONE],
    }
}

# Signing in to the console

LOGIN_URL, LOGIN_REDIRECT_URL = "admin:login", "admin:index"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # the console has a list of its own
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]  # nobody can lock out a user who sits elsewhere
AXES_CLIENT_IP_CALLABLE = "config.middleware.client_address"
AXES_LOCKOUT_CALLABLE = "console.sign_in.locked"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # a lock ends when its page says so
AXES_DISABLE_ACCESS_LOG = True  # nothing prunes it; a user's last sign-in is on their page

# Portal-facing API

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["portals.authentication.PortalAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["portals.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["portals.throttling.PortalThrottle"],
    "DEFAULT_THROTTLE_RATES": {"portal": "300/min"},
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "portals.errors.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Uspacy external lines",
    "DESCRIPTION": "Connect outside messengers to the external lines of a Uspacy portal and read what was "
    "carried. Every call is made for one portal: the one of the integration token.",
    "VERSION": "1.0.0",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "portals.schema.describe_errors",
    ],
    "ENUM_NAME_OVERRIDES": {
        "LineStatusEnum": "externallines.models.ExternalLine.Status",
        "MessageStatusEnum": "messaging.models.Message.Status",
    },
}

# Celery: tasks are wake-ups, all state is in PostgreSQL (docs/architecture.md)

CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="") or REDIS_URL
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None  # a worker outlives any outage of the broker
CELERY_BROKER_CONNECTION_TIMEOUT = 2
CELERY_BROKER_TRANSPORT_OPTIONS = (
    {"socket_connect_timeout": 2, "socket_timeout": 10, "socket_keepalive": True}
    if CELERY_BROKER_URL.startswith("redis")
    else {}
)
CELERY_TASK_DEFAULT_QUEUE = "housekeeping"
CELERY_TASK_QUEUES = [  # two, so that a burst of messages delays no renewal
    Queue("messages", Exchange("uspacy"), routing_key="messages"),
    Queue("housekeeping", Exchange("uspacy"), routing_key="housekeeping"),
]
CELERY_TASK_ROUTES = {"messaging.tasks.drain_chat": {"queue": "messages"}}
CELERY_TASK_PUBLISH_RETRY = False  # the sweep finds what was not announced
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ACKS_LATE = False  # a lost wake-up costs seconds, or a minute under load; a repeated one costs work
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_WORKER_SEND_TASK_EVENTS = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
CELERY_BEAT_SYNC_EVERY = 1  # last_run_at of the sweep is beat's sign of life (config/health.py)
CELERY_BEAT_MAX_LOOP_INTERVAL = 5
DJANGO_CELERY_BEAT_TZ_AWARE = True

# Logs and errors

LOGGING = logs.config(LOG_LEVEL)
logs.configure_structlog()
DJANGO_STRUCTLOG_CELERY_ENABLED = True
LOGGING_CONFIG = "logging.config.dictConfig"

if SENTRY_DSN := env.str("SENTRY_DSN", default=""):
    reports.start(SENTRY_DSN)
