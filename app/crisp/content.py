"""A message's content as text, and which side it stands on (crisp/REFERENCE.md section 6.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

Direction = Literal["inbound", "outbound", "internal"]


def direction_of(kind: str, sent_by: Any, sender_id: Any, session_id: str) -> Direction:
    """Notes and events are internal; `user` is the visitor. Without `from`, the visitor's user id is the session's."""
    if kind in {"note", "event"}:
        return "internal"
    if sent_by == "user":
        return "inbound"
    if sent_by == "operator":
        return "outbound"
    return "inbound" if sender_id == session_id else "outbound"


def body_of(kind: str, content: Any) -> str:
    """The text a person would read or search for; what has none is shown from the kept content."""
    if isinstance(content, str):
        return content
    if not isinstance(content, Mapping):
        return ""
    return _BODIES.get(kind, _text_only)(content)


def kind_of_content(content: Any) -> str:
    """The type of a message by its content alone, which is all that an edit tells."""
    if not isinstance(content, Mapping):
        return "text"
    for key, kind in _KINDS:
        if key in content:
            return kind
    return "unknown"


_KINDS = (
    ("choices", "picker"),
    ("targets", "carousel"),
    ("namespace", "event"),
    ("explain", "field"),
    ("value", "field"),
    ("url", "file"),
)


def _text_only(content: Mapping[str, Any]) -> str:
    return _join(content.get("text"))


def _file(content: Mapping[str, Any]) -> str:
    return _join(content.get("name")) or _join(content.get("url"))


def _picker(content: Mapping[str, Any]) -> str:
    chosen = [
        c.get("label") for c in _mappings(content.get("choices")) if c.get("selected") is True
    ]
    return _join(content.get("text"), *chosen)


def _field(content: Mapping[str, Any]) -> str:
    return _join(content.get("text"), content.get("value"))


def _carousel(content: Mapping[str, Any]) -> str:
    parts = [
        p for t in _mappings(content.get("targets")) for p in (t.get("title"), t.get("description"))
    ]
    return _join(content.get("text"), *parts)


def _event(content: Mapping[str, Any]) -> str:
    return _join(content.get("text")) or _join(content.get("namespace"))


_BODIES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "file": _file,
    "animation": _file,
    "audio": _file,
    "picker": _picker,
    "field": _field,
    "carousel": _carousel,
    "event": _event,
}


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _join(*parts: Any) -> str:
    return "\n".join(part for part in parts if isinstance(part, str) and part)
