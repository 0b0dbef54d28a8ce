"""Structured logs with an allowlist of fields: ids, counts and states, never text, addresses or tokens (SPEC P7)."""

from __future__ import annotations

import io
import logging
import re
import sys
import traceback
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
        "logger",
        "exception",
        "request_id",
        "method",
        "route",
        "ms",
    }
)
_WEBSITE_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
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
    begin: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        tell_where,
    ]
    end: list[Any] = [keep_allowed, count_warnings, renderer]
    _take_over_libraries(begin, end)
    structlog.configure(
        processors=[*begin, *end],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _CurrentStderr())),
        cache_logger_on_first_use=True,
    )


def _take_over_libraries(begin: list[Any], end: list[Any]) -> None:
    """What libraries log takes the same way. Of their messages only the template: arguments may be anybody's words."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, *begin, _keep_first_line],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        use_get_message=False,
    )
    handler = logging.StreamHandler(cast("TextIO", _CurrentStderr()))
    handler.setFormatter(formatter)
    handler.name = __name__
    root = logging.getLogger()
    for other in [one for one in root.handlers if one.name == handler.name]:
        root.removeHandler(other)
    root.addHandler(handler)


def _keep_first_line(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Asyncio writes the task below it, with what its exception says."""
    event["event"] = next(iter(str(event["event"]).splitlines()), "")
    return event


def tell_where(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Of an exception where it happened and its classes: what it says may quote a value (FAILURES case 99)."""
    given = event.pop("exc_info", None)
    if given is True:
        given = sys.exc_info()
    error = given[1] if isinstance(given, tuple) else given
    if isinstance(error, BaseException):
        event["exception"] = "\n".join(_where(error, set()))
        event.setdefault("error", type(error).__name__)
    return event


def _where(error: BaseException, seen: set[int]) -> list[str]:
    seen.add(id(error))
    kind = type(error)
    lines = [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
    lines.append(f"{kind.__module__}.{kind.__qualname__}")
    context = None if error.__suppress_context__ else error.__context__
    for before in (error.__cause__, context, *getattr(error, "exceptions", ())):
        if isinstance(before, BaseException) and id(before) not in seen:
            lines += ["because of", *_where(before, seen)]
    return lines


def keep_allowed(
    _logger: Any, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Drop every field that is not known to be harmless."""
    kept = {name: value for name, value in event.items() if name in ALLOWED}
    # Whoever sends a hook names its website as they like: that may be any text.
    if not _WEBSITE_ID.fullmatch(str(kept.get("website_id", ""))):
        kept.pop("website_id", None)
    return kept


WARNED: Counter[tuple[str, str]] = Counter()
"""(event, class of the error) of what this process logged as a warning or worse; read by /metrics.

Of what libraries log the logger's name stands for the event: their sentences may hold anything.
"""


def count_warnings(
    _logger: Any, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    if method in {"warning", "error", "exception", "critical"}:
        told = event.get("logger") or event.get("event", "")
        WARNED[str(told), str(event.get("error", ""))] += 1
    return event
