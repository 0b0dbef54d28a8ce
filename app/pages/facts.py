"""Names and values in quiet tables: session data, the visitor's device, a contact's attributes. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app.pages.text import clean, one_line
from app.pages.wording import SOURCES, attribute_name, plain_value

_MOST = 200


@dataclass(frozen=True, slots=True)
class Facts:
    """`data` is the session's own data; it is not the contact's (SPEC D2)."""

    topic: str = ""
    rating_comment: str = ""
    segments: list[str] = field(default_factory=list)
    data: list[tuple[str, str]] = field(default_factory=list)
    visitor: list[tuple[str, str]] = field(default_factory=list)
    participants: list[str] = field(default_factory=list)


def session_facts(metadata: Any) -> Facts:
    if not isinstance(metadata, Mapping):
        return Facts()
    return Facts(
        topic=_text(metadata.get("topic")),
        rating_comment=_text(metadata.get("rating_comment"), 1_000),
        segments=texts(metadata.get("segments")),
        data=pairs(metadata.get("data")),
        visitor=_visitor(metadata),
        participants=_participants(metadata.get("participants")),
    )


def _visitor(metadata: Mapping[str, Any]) -> list[tuple[str, str]]:
    where = metadata.get("geolocation")
    place = ""
    if isinstance(where, Mapping):
        known = (_text(where.get(key)) for key in ("city", "region", "country"))
        place = ", ".join(part for part in known if part)
    rows = [
        ("Place", place),
        ("Browser", _text(metadata.get("browser"))),
        ("System", _text(metadata.get("os"))),
        ("Languages", ", ".join(texts(metadata.get("locales")))),
        ("Phone", _text(metadata.get("phone"))),
        ("Postal address", _text(metadata.get("address"))),
        ("Inbox", _text(metadata.get("inbox_id"))),
    ]
    return [(name, value) for name, value in rows if value]


def _participants(value: Any) -> list[str]:
    items = value if isinstance(value, list) else []
    targets = [item.get("target") if isinstance(item, Mapping) else item for item in items[:_MOST]]
    return [shown for target in targets if (shown := _text(target))]


@dataclass(frozen=True, slots=True)
class Sourced:
    """`source` is where the value came from when that is not Crisp, and `at` when (SPEC V1, D7)."""

    name: str
    value: str
    source: str = ""
    at: datetime | None = None


def sourced(value: Any, sources: Any) -> tuple[list[Sourced], list[Sourced]]:
    """(profile, custom data) of a contact; `sources` is its `field_sources` (app/sources.py)."""
    items = list(value.items())[:_MOST] if isinstance(value, Mapping) else []
    rows = [
        (str(key).startswith("data."), _sourced(str(key), inner, sources)) for key, inner in items
    ]
    return [row for custom, row in rows if not custom], [row for custom, row in rows if custom]


def _sourced(key: str, value: Any, sources: Any) -> Sourced:
    told = sources.get(f"attributes.{key}") if isinstance(sources, Mapping) else None
    name, shown = attribute_name(key), clean(plain_value(value))
    if not isinstance(told, Mapping):
        return Sourced(name, shown)
    word = _text(told.get("source"))
    return Sourced(name, shown, SOURCES.get(word, word), _moment(told.get("at")))


def sourced_heads(row: Any) -> list[Sourced]:
    """Of what stands in the head of a contact, what something else than Crisp wrote (SPEC V1)."""
    heads = {
        "Name": row.name,
        "Main address": row.email,
        "Phone": row.phone,
        "Owner": row.owner_name,
    }
    targets = dict(zip(heads, ("name", "email", "phone", "owner"), strict=True))
    sources = {f"attributes.{target}": told for target, told in row.field_sources.items()}
    return [
        replace(_sourced(targets[label], value, sources), name=label)
        for label, value in heads.items()
        if targets[label] in row.field_sources
    ]


def _moment(text: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return found if found.tzinfo else None


def attributes(value: Any) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(profile, custom data) of a contact or company, each with names for people."""
    items = list(value.items())[:_MOST] if isinstance(value, Mapping) else []
    profile = [item for item in items if not str(item[0]).startswith("data.")]
    custom = [item for item in items if str(item[0]).startswith("data.")]
    return (
        [(attribute_name(str(key)), clean(plain_value(inner))) for key, inner in profile],
        [(attribute_name(str(key)), clean(plain_value(inner))) for key, inner in custom],
    )


def pairs(value: Any) -> list[tuple[str, str]]:
    if not isinstance(value, Mapping):
        return []
    return [(clean(key), clean(plain_value(inner))) for key, inner in list(value.items())[:_MOST]]


def texts(value: Any) -> list[str]:
    if not isinstance(value, list):
        return []
    return [shown for item in value[:_MOST] if isinstance(item, str) and (shown := _text(item))]


def _text(value: Any, limit: int = 200) -> str:
    return one_line(value, limit) if isinstance(value, str | int | float) else ""
