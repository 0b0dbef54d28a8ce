"""Message contents that are not plain text, in a shape that a template can show (REFERENCE 6.3).

Crisp promises nothing about these shapes. Whatever does not fit becomes `kept`: the data as it
came, in a block that can be opened.
"""

from __future__ import annotations

import mimetypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.pages.text import clean, host_of, one_line, safe_url

_KEPT_CHARS = 20_000
_MOST_ITEMS = 100
_EVENTS = {
    "state:resolved": "marked as resolved",
    "state:unresolved": "reopened",
    "state:pending": "set to pending",
    "user:blocked": "visitor blocked",
    "user:unblocked": "visitor unblocked",
    "thread:started": "thread started",
    "thread:ended": "thread ended",
    "participant:added": "participant added",
    "participant:removed": "participant removed",
    "conversation:assigned": "assigned",
    "reminder:scheduled": "reminder set",
}


@dataclass(frozen=True, slots=True)
class Choice:
    label: str
    chosen: bool = False
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Card:
    title: str
    description: str
    actions: list[Choice] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Shaped:
    """`kind` is the block of the template: text, file, picker, field, carousel, event or kept."""

    kind: str
    text: str = ""
    icon: str = ""
    label: str = ""
    detail: str = ""
    url: str | None = None
    host: str = ""
    choices: list[Choice] = field(default_factory=list)
    answered: bool = False
    cards: list[Card] = field(default_factory=list)
    raw: str = ""


def shaped(kind: str, body: str, content: Any) -> Shaped:
    if kind in {"text", "note"} and not isinstance(content, Mapping | list):
        return Shaped("text", text=body)
    shape = _SHAPES.get(kind)
    if shape is None or not isinstance(content, Mapping):
        return _kept(kind, body, content)
    return shape(content) or _kept(kind, body, content)


def _kept(kind: str, body: str, content: Any) -> Shaped:
    if content is None:
        return (
            Shaped("text", text=body)
            if kind != "event"
            else Shaped("event", text=_event_words(body))
        )
    try:
        raw = orjson.dumps(content, option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONEncodeError:
        raw = str(content)
    return Shaped("kept", text=body, label=one_line(kind, 40), raw=raw[:_KEPT_CHARS])


def _file(content: Mapping[str, Any]) -> Shaped | None:
    mime, url = _text(content, "type"), safe_url(content.get("url"))
    name = _text(content, "name") or (url or "").split("?")[0].rsplit("/", 1)[-1]
    if not name:
        return None
    icon = "image" if mime.startswith("image/") else "file"
    return Shaped(
        "file", icon=icon, label=one_line(name, 120), detail=_type_word(mime, name), **_to(url)
    )


def _animation(content: Mapping[str, Any]) -> Shaped | None:
    url = safe_url(content.get("url"))
    if not _text(content, "url"):
        return None
    return Shaped(
        "file", icon="image", label="Animation", detail="GIF, not loaded here", **_to(url)
    )


def _audio(content: Mapping[str, Any]) -> Shaped | None:
    url = safe_url(content.get("url"))
    if not _text(content, "url"):
        return None
    seconds = content.get("duration")
    known = (
        isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 <= seconds < 1e6
    )
    detail = f"{int(seconds) // 60}:{int(seconds) % 60:02d} min" if known and seconds else "audio"
    return Shaped("file", icon="audio", label="Voice message", detail=detail, **_to(url))


def _to(url: str | None) -> dict[str, Any]:
    return {"url": url, "host": host_of(url) if url else ""}


def _type_word(mime: str, name: str) -> str:
    """`application/pdf` to `PDF`: what a person calls it."""
    suffix = mimetypes.guess_extension(mime.split(";", maxsplit=1)[0].strip()) if mime else None
    if suffix is None and "." in name:
        suffix = name[name.rfind(".") :]
    word = (suffix or "").lstrip(".").upper()
    if mime.startswith("image/"):
        return f"{word or mime[6:].upper()} image, not loaded here"
    return word if 0 < len(word) <= 5 else one_line(mime, 40) or "file"


def _picker(content: Mapping[str, Any]) -> Shaped | None:
    choices = [_choice(item) for item in _mappings(content.get("choices"))]
    text = _text(content, "text")
    if not choices and not text:
        return None
    answered = any(choice.chosen for choice in choices)
    return Shaped("picker", text=text, choices=choices, answered=answered)


def _choice(item: Mapping[str, Any]) -> Choice:
    icon, label = _text(item, "icon"), _text(item, "label") or _text(item, "value") or "(no label)"
    action = item.get("action")
    url = safe_url(action.get("target")) if isinstance(action, Mapping) else None
    shown = f"{icon} {label}" if icon and len(icon) <= 16 else label
    return Choice(one_line(shown, 200), item.get("selected") is True, url)


def _field(content: Mapping[str, Any]) -> Shaped | None:
    text, value = _text(content, "text"), content.get("value")
    if not text and value is None:
        return None
    answer = "" if value is None else clean(value)
    return Shaped(
        "field", text=text, detail=_text(content, "explain"), label=answer, answered=bool(answer)
    )


def _carousel(content: Mapping[str, Any]) -> Shaped | None:
    cards = [_card(target) for target in _mappings(content.get("targets"))]
    text = _text(content, "text")
    return Shaped("carousel", text=text, cards=cards) if cards or text else None


def _card(target: Mapping[str, Any]) -> Card:
    actions = [
        Choice(one_line(_text(a, "label") or "Link", 80), url=safe_url(a.get("url")))
        for a in _mappings(target.get("actions"))
    ]
    return Card(_text(target, "title") or "Untitled", _text(target, "description"), actions)


def _event(content: Mapping[str, Any]) -> Shaped | None:
    namespace, text = _text(content, "namespace"), _text(content, "text")
    if namespace in _EVENTS:
        words = _EVENTS[namespace]
        # Crisp repeats the state in the text ("resolved"); only more than that is worth a place.
        if text and text.lower() not in words and text != namespace:
            words = f"{words}: {text}"
        return Shaped("event", text=one_line(words, 160))
    return Shaped("event", text=_event_words(text or namespace)) if text or namespace else None


def _event_words(text: str) -> str:
    return one_line(text.replace(":", ": ").replace("_", " ") if " " not in text else text, 160)


def _text(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    return clean(value) if isinstance(value, str) else ""


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list):
        return []
    return [item for item in value[:_MOST_ITEMS] if isinstance(item, Mapping)]


_SHAPES: Mapping[str, Callable[[Mapping[str, Any]], Shaped | None]] = {
    "file": _file,
    "animation": _animation,
    "audio": _audio,
    "picker": _picker,
    "field": _field,
    "carousel": _carousel,
    "event": _event,
}
