"""Cursors that nobody has to understand, and that nobody can change unnoticed.

They carry no secret and give no right: every answer is checked against what the token may see. The
digest only tells a cursor that was cut or edited from one of ours.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any

import orjson

from app.errors import Refused

_SIZE, _PURPOSE = 6, b"crispsync cursor"
_LONGEST = 7_000


class BadCursor(Refused):
    """Not a cursor of ours, or one of another list."""

    http_status = 400


def seal(*values: Any) -> str:
    raw = orjson.dumps(values)
    return base64.urlsafe_b64encode(_digest(raw) + raw).decode().rstrip("=")


def unseal(text: str, count: int) -> list[Any]:
    """The values that `seal` was given. Raises BadCursor."""
    try:
        padded = text.encode() + b"=" * (-len(text) % 4)
        raw = base64.b64decode(padded, b"-_", validate=True) if len(text) <= _LONGEST else b""
        if raw[:_SIZE] != _digest(raw[_SIZE:]):
            raise bad_cursor()
        values = orjson.loads(raw[_SIZE:])
    except (binascii.Error, ValueError):
        raise bad_cursor() from None
    if not isinstance(values, list) or len(values) != count:
        raise bad_cursor()
    return values


def bad_cursor() -> BadCursor:
    return BadCursor(
        "This cursor is none of this list: use `next_cursor` as it was given, with the same filters."
    )


def _digest(raw: bytes) -> bytes:
    return hashlib.blake2b(raw, digest_size=_SIZE, person=_PURPOSE).digest()
