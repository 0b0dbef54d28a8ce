"""Structured logs with an allowlist of fields: ids, counts and states, never text, addresses or tokens (SPEC P7)."""

from __future__ import annotations

import io
import logging
import sys
from collections import Counter
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TextIO, cast

import stamina
import structlog
from structlog.contextvars import bound_contextvars

ALLOWED = frozenset(
    {
        "event",
        "level",
        "timestamp",
        "run_id",
        "website_id",
        "event_id",
        "record_id",
        "kind",
        "state",
        "count",
        "websites",
        "requests",
        "error",
        "reason",
        "status",
        "port",
        "exception",
        "request_id",
        "method",
        "route",
        "ms",
    }
)
# These write addresses of requests, and Crisp's may hold e-mail addresses (FAILURES case 99).
CHATTY = ("httpx", "httpcore", "arq.worker", "arq.jobs", "sqlalchemy.engine")


def current_request_id() -> str | None:
    """Of the request, command or job that is at work, as its log lines carry it."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def as_of_request(request_id: str | None) -> AbstractContextManager[None]:
    """What is logged inside carries this id; None: whatever it carried before."""
    return nullcontext() if request_id is None else bound_contextvars(request_id=request_id)


class _CurrentStderr(io.TextIOBase):
    """What stderr is when a line is written: a logger is kept for long, and stderr may be replaced."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def configure_logs(*, as_json: bool | None = None) -> None:
    """JSON lines on stderr, or readable lines on a terminal."""
    # A retry that helps is no news; one that does not ends in an error that says so.
    stamina.instrumentation.set_on_retry_hooks(())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
    readable = sys.stderr.isatty() if as_json is None else not as_json
    renderer: Any = (
        structlog.dev.ConsoleRenderer() if readable else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            keep_allowed,
            count_warnings,
            renderer,
        ],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _CurrentStderr())),
        cache_logger_on_first_use=True,
    )


def keep_allowed(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field that is not known to be harmless."""
    return {name: value for name, value in event.items() if name in ALLOWED}


WARNED: Counter[tuple[str, str]] = Counter()
"""(event, class of the error) of what this process logged as a warning or worse; read by /metrics."""


def count_warnings(
    _logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if method in {"warning", "error", "exception", "critical"}:
        WARNED[str(event.get("event", "")), str(event.get("error", ""))] += 1
    return event
