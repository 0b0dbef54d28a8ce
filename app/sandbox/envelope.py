"""What an answer of Crisp looks like: the envelope, its reasons and codes (REFERENCE section 3)."""

import json
from dataclasses import dataclass, field
from typing import Any

import orjson

Headers = list[tuple[bytes, bytes]]

JSON_TYPE = b"application/json; charset=utf-8"


@dataclass(slots=True)
class Answer:
    """An answer before it is sent."""

    status: int
    body: bytes
    headers: Headers = field(default_factory=list)
    content_type: bytes = JSON_TYPE
    bloom: bytes = b"MISS"


class Refused(Exception):
    """Raised by a handler to answer with an error."""

    def __init__(self, status: int, reason: str, message: str = "") -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.message = message


def dumps(value: Any) -> bytes:
    """JSON bytes; a lone surrogate, which UTF-8 cannot hold, is written as an escape."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":")).encode()


def success(data: Any, reason: str = "resolved", status: int = 200) -> Answer:
    return Answer(status, dumps({"error": False, "reason": reason, "data": data}))


def listed(data: list[Any], *, more: bool) -> Answer:
    """A list: 206 while there is more, 200 at its end."""
    return success(data, "listed", 206 if more else 200)


def failure(status: int, reason: str, message: str = "") -> Answer:
    data = {"message": message} if message else {}
    return Answer(status, dumps({"error": True, "reason": reason, "data": data}))


# The reason Crisp gives with each code (REFERENCE section 3.1).
REASONS = {
    400: "invalid_data",
    401: "invalid_session",
    402: "subscription_upgrade_required",
    403: "not_allowed",
    404: "not_found",
    405: "method_not_allowed",
    409: "conflict",
    420: "rate_limited",
    422: "quota_or_rate_limited",
    423: "quota_limit_exceeded",
    429: "rate_limited",
}


def reason_for(status: int) -> str:
    return REASONS.get(status, "internal_error" if status >= 500 else "error")
