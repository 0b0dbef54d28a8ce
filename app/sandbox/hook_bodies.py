"""A change as the body of the web hook that tells of it (crisp/REFERENCE.md sections 7.2, 7.5)."""

import json

import orjson

from app.sandbox.recording import UNTOLD
from app.sandbox.records import Change

INSTALL_EVENT = "plugin:subscription:updated"


def body_of(change: Change) -> bytes | None:
    """``{"website_id", "event", "data", "timestamp"}``; None if Crisp has no hook for it."""
    if change.event == UNTOLD:
        return None
    body = {
        "website_id": change.website_id,
        "event": change.event,
        "data": change.data,
        "timestamp": change.at_ms,
    }
    try:
        return orjson.dumps(body)
    except TypeError:
        return _stringified(body)


def _stringified(body: object) -> bytes:
    """As JSON.stringify writes it: UTF-8, but each lone surrogate as an escape of six letters."""
    text = json.dumps(body, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace")
