"""One JSON object a line on stderr, without coordinates, keys, tokens or addresses."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import msgspec
import structlog

from geoengine.service.clock import now_ms

Line = MutableMapping[str, Any]

HIDDEN = "[hidden]"
# Fields that never leave, whatever they hold.
SECRET_FIELDS = frozenset(
    {"lat", "lon", "lng", "lat_deg", "lon_deg", "latitude", "longitude", "coordinates"}
    | {"location", "position", "body", "payload", "headers"}
    | {"authorization", "key", "keys", "secret", "token", "push_token", "push_tokens"}
    | {"phone", "email", "address", "addresses"}
)
# What hides in free text: a bearer key, and numbers as precise as a position (four decimals are
# eleven metres), an e-mail address, a telephone number.
_SECRET_TEXT = re.compile(
    r"(?i:bearer)\s+\S+"
    r"|whsec_\S+"
    r"|-?\b\d{1,3}\.\d{4,}"
    r"|[^\s@<>\"']+@[^\s@<>\"']+\.[a-z]{2,}"
    r"|\+\d{7,15}\b"
)


def redact(_logger: object, _method: str, line: Line) -> Line:
    """Hide what must not be logged, by name of the field and by look of the text."""
    for name, value in line.items():
        line[name] = HIDDEN if name in SECRET_FIELDS else _clean(value)
    return line


def _clean(value: Any) -> Any:
    if isinstance(value, str):
        return _SECRET_TEXT.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {
            name: HIDDEN if name in SECRET_FIELDS else _clean(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 3)
    return value if isinstance(value, int | bool | None) else _SECRET_TEXT.sub(HIDDEN, str(value))


def _stamp(_logger: object, _method: str, line: Line) -> Line:
    line["at_ms"] = now_ms()
    return line


def _render(_logger: object, _method: str, line: Line) -> str:
    return msgspec.json.encode(line).decode()


def configure(level: str, stream: TextIO = sys.stderr, **always: Any) -> None:
    """Send our log and that of the libraries to a stream, as JSON, from this level up.

    ``always`` is what each line says beside its own: which worker of several wrote it.
    """

    def sign(_logger: object, _method: str, line: Line) -> Line:
        return {**always, **line}

    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.format_exc_info,
        _stamp,
        sign,
        redact,
    ]
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _render],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    logging.getLogger("watchfiles").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """The log of one part of the service."""
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(f"geoengine.{name}")
    return found
