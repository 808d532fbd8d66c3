"""Structured JSON logs: request and task ids in every line, secrets in none."""

import re
from typing import Any

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

_SECRET_NAMES = re.compile(
    r"token|secret|password|authorization|credential|signature|api[-_]?key|cookie", re.IGNORECASE
)
_SECRET_TEXTS = re.compile(
    r"eyJ[\w-]+\.[\w-]+\.[\w-]*"  # JSON web tokens
    r"|whsec_[\w+/=-]+"  # webhook secrets
    r"|(?<!\d)\d{6,}:[\w-]{30,}"  # Telegram's bot tokens, also in a URL, after "bot"
    r"|\b[0-9a-f]{16}(?:-[0-9a-f]{16}){2}\b"  # Viber's tokens
    r"|\b(?:EAA|IGA)[A-Za-z0-9]{30,}"  # Meta's tokens
    r"|(?<=://)[^/?\s@]+(?=@)"  # user name and password in a URL
    r"|(?<=/media/)[^/\s]+"  # what our own URLs of files are signed with
    r"|(?i:(?<=bearer )|(?<=token=)|(?<=secret=))[^\s&'\",;]+"
)
MASK = "•••"


def mask(value: Any, name: str = "") -> Any:
    """Return `value`, as JSON has it, with everything that is, or looks like, a secret replaced."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and _SECRET_NAMES.search(name):
        return MASK
    if isinstance(value, dict):
        return {str(key): mask(item, str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [mask(item) for item in value]
    return _SECRET_TEXTS.sub(MASK, value if isinstance(value, str) else repr(value))


def mask_secrets(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """The last processor before rendering."""
    return {key: mask(value, key) for key, value in event.items()}


def drop_noise(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """A task that ends well has said what it did."""
    if event.get("event") in ("task_started", "task_enqueued", "task_succeeded"):
        raise structlog.DropEvent
    return event


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.stdlib.PositionalArgumentsFormatter(),
]


def config(level: str) -> dict[str, Any]:
    """Return `LOGGING`: everything, our own and the libraries', leaves as one JSON object a line."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "json": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_SHARED, structlog.stdlib.ExtraAdder()],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    structlog.processors.format_exc_info,
                    mask_secrets,
                    structlog.processors.JSONRenderer(ensure_ascii=False),
                ],
            }
        },
        "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json"}},
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # One line per request or task is enough: our middleware and django_structlog write them.
            "django.server": {"handlers": ["console"], "level": "WARNING", "propagate": False},
            "celery.app.trace": {"level": "WARNING"},
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
        },
    }


def configure_structlog() -> None:
    """Route structlog through the standard library, so that one handler and one mask serve all."""
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            drop_noise,
            *_SHARED,
            structlog.processors.StackInfoRenderer(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
