"""The columns of an exported file, noun by noun, in the words that a CSV import suggests from (SPEC I2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

from app.db.base import dump_json
from app.published.shapes import Company, Contact, Conversation, Message

Cell: TypeAlias = str | int | bool | datetime | None
Column: TypeAlias = tuple[str, type, Callable[[Any], Cell]]
"""Its head, the type of its values, and how a record fills it."""

_OF_FIELDS = ("job_title", "role", "country", "region", "city", "time_zone", "locales")
_HELD_ELSEWHERE = frozenset({*_OF_FIELDS, "company_name"})


def contact_columns(attributes: Sequence[str]) -> list[Column]:
    """`attributes`: the keys that any contact has; those of no field become `data.<key>`."""
    custom = [key for key in attributes if key not in _HELD_ELSEWHERE]
    return [
        ("email", str, lambda c: c.email),
        ("name", str, lambda c: c.name),
        ("phone", str, lambda c: c.phone),
        ("avatar", str, lambda c: c.avatar),
        *((key, str, _attribute(key)) for key in _OF_FIELDS),
        ("company_name", str, _company_names),
        ("segments", str, lambda c: "|".join(c.segments)),
        ("created", datetime, lambda c: c.signed_up_at),
        ("last_active", datetime, lambda c: c.last_active_at),
        *((f"data.{key.removeprefix('data.')}", str, _attribute(key)) for key in custom),
        ("id", str, lambda c: c.id),
        ("website_id", str, lambda c: c.website_id),
        ("source", str, lambda c: c.source),
    ]


def _company_names(contact: Contact) -> str:
    return "|".join(link.company_name for link in contact.companies if link.until is None)


def _attribute(key: str) -> Callable[[Contact | Company], Cell]:
    def fill(record: Contact | Company) -> Cell:
        value = record.attributes.get(key)
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return "|".join(value)
        return value if value is None or isinstance(value, str) else dump_json(value)

    return fill


def company_columns(attributes: Sequence[str]) -> list[Column]:
    return [
        ("name", str, lambda c: c.name),
        ("domain", str, lambda c: c.domain),
        ("domains", str, lambda c: "|".join(c.domains)),
        *((f"data.{key}", str, _attribute(key)) for key in attributes),
        ("created_at", datetime, lambda c: c.created_at),
        ("id", str, lambda c: c.id),
        ("website_id", str, lambda c: c.website_id),
    ]


_CONVERSATION: list[Column] = [
    ("id", str, lambda c: c.id),
    ("website_id", str, lambda c: c.website_id),
    ("session_id", str, lambda c: c.session_id),
    ("status", str, lambda c: c.status),
    ("subject", str, lambda c: c.subject),
    ("origin", str, lambda c: c.origin),
    ("assigned_to", str, lambda c: c.assigned_to),
    ("rating", int, lambda c: c.rating),
    ("contact_id", str, lambda c: c.link.contact_id),
    ("company_ids", str, lambda c: "|".join(c.link.company_ids)),
    ("match_rule", str, lambda c: c.link.rule),
    ("match_verified", bool, lambda c: c.link.verified),
    ("unmatched_reason", str, lambda c: c.link.unmatched_reason),
    ("nickname", str, lambda c: c.nickname),
    ("email", str, lambda c: c.email),
    ("message_count", int, lambda c: c.message_count),
    ("last_message_at", datetime, lambda c: c.last_message_at),
    ("created_at", datetime, lambda c: c.created_at),
    ("updated_at", datetime, lambda c: c.updated_at),
    ("metadata", str, lambda c: dump_json(c.metadata)),
]
_MESSAGE: list[Column] = [
    ("website_id", str, lambda m: m.website_id),
    ("conversation_id", str, lambda m: m.conversation_id),
    ("fingerprint", int, lambda m: m.fingerprint),
    ("sent_at", datetime, lambda m: m.sent_at),
    ("direction", str, lambda m: m.direction),
    ("type", str, lambda m: m.type),
    ("sender_name", str, lambda m: m.sender_name),
    ("automated", bool, lambda m: m.automated),
    ("body", str, lambda m: m.body),
    ("content", str, lambda m: None if m.content is None else dump_json(m.content)),
    ("edited_at", datetime, lambda m: m.edited_at),
    ("deleted_at", datetime, lambda m: m.deleted_at),
    ("text_dropped_at", datetime, lambda m: m.text_dropped_at),
]


def conversation_columns(_attributes: Sequence[str]) -> list[Column]:
    return _CONVERSATION


def message_columns(_attributes: Sequence[str]) -> list[Column]:
    return _MESSAGE


COLUMNS: Mapping[str, Callable[[Sequence[str]], list[Column]]] = {
    "contacts": contact_columns,
    "companies": company_columns,
    "conversations": conversation_columns,
    "messages": message_columns,
}
Record: TypeAlias = Contact | Company | Conversation | Message
