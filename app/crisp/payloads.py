"""Reading Crisp's JSON: one parser everywhere, and text that both databases can keep."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import orjson

# PostgreSQL refuses NUL in text and jsonb, and nothing that is to be UTF-8 can hold half a surrogate
# pair (FAILURES cases 14, 57). Both arrive as escapes, so bodies without one need no second look.
_SUSPICIOUS = re.compile(rb"\\u(?:0000|[dD][89abAB])")
_SURROGATE = re.compile("[\ud800-\udfff]")
_PICTURE_OF_NUL = "\u2400"
# Deeper than any JSON column takes (orjson writes 254 levels): such a record is refused when it is
# written, alone, and must not make the page around it unreadable (FAILURES case 53).
_MAX_DEPTH = 300


class Unreadable(ValueError):
    """The bytes are no JSON that can be kept."""


def parse(body: bytes) -> Any:
    """JSON to plain values whose texts hold neither NUL nor lone surrogates. Raises Unreadable."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return clean(_parse_leniently(body))
    return clean(value) if _SUSPICIOUS.search(body) else value


def _parse_leniently(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise Unreadable("not JSON") from error


def _refuse(constant: str) -> Any:
    raise Unreadable(f"{constant} is not JSON")


def clean(value: Any, depth: int = 0) -> Any:
    """The same value with NUL shown as ␀ and lone surrogates replaced, in keys too. Raises Unreadable."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, float) and not math.isfinite(value):
        raise Unreadable("a number out of range")
    if isinstance(value, dict | list):
        if depth > _MAX_DEPTH:
            return value
        if isinstance(value, list):
            return [clean(item, depth + 1) for item in value]
        return {clean_text(key): clean(item, depth + 1) for key, item in value.items()}
    return value


def clean_text(text: str) -> str:
    return _SURROGATE.sub("\ufffd", text.replace("\x00", _PICTURE_OF_NUL))
