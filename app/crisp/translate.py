"""Crisp's shapes to records, and nothing of Crisp's shapes further than this.

Every field is optional (crisp/GAPS.md row 28): what is missing stays missing, and what is of
the wrong type is left to the raw JSON. Sources: crisp/REFERENCE.md section 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeGuard

from app.clock import from_ms, is_ms
from app.crisp.content import body_of, direction_of
from app.records import (
    ContactRecord,
    ConversationRecord,
    Fields,
    MessageRecord,
    OperatorRecord,
    Rejected,
    Version,
)

_MAX_ID = 128
_MAX_SHORT = 500
_INT64 = 1 << 63

# Crisp's path in a profile to the name of the field; the mapping of a website starts from these.
CONTACT_TEXTS = (
    "email",
    "person.nickname",
    "person.avatar",
    "person.gender",
    "person.phone",
    "person.address",
    "person.description",
    "person.website",
    "person.employment.name",
    "person.employment.domain",
    "person.employment.title",
    "person.employment.role",
    "person.employment.seniority",
    "person.geolocation.country",
    "person.geolocation.region",
    "person.geolocation.city",
    "company.name",
    "company.legal_name",
    "company.domain",
    "company.url",
    "company.description",
    "notepad",
)
CONTACT_NUMBERS = ("active.last", "created_at", "score", "person.timezone")
_STATES = ("pending", "unresolved", "resolved")  # by Crisp's status number
_MISSING: Any = object()


def contact(profile: Mapping[str, Any], asked_ms: int, *, direct: bool) -> ContactRecord | Rejected:
    people_id = profile.get("people_id")
    if not is_id(people_id):
        return Rejected("contact", _shown(people_id), "the profile has no usable people_id")
    return ContactRecord(
        people_id=people_id,
        fields=contact_fields(profile),
        raw=dict(profile),
        version=Version(ms(profile.get("updated_at")), asked_ms, direct),
        segments=texts(profile.get("segments", _MISSING)),
    )


def contact_fields(profile: Mapping[str, Any]) -> Fields:
    """The fields that a profile, or a part of one, tells."""
    fields: Fields = {}
    for path in CONTACT_TEXTS:
        value = _text_at(profile, path)
        if value is not _MISSING:
            fields[path] = value
    for path in CONTACT_NUMBERS:
        number = _at(profile, path)
        if number is None or (isinstance(number, int | float) and not isinstance(number, bool)):
            fields[path] = number
    return fields


def custom_data(data: Any) -> Fields | None:
    """The answer of /people/data, which is nested twice; None when it is something else."""
    inner = data.get("data") if isinstance(data, Mapping) else None
    if not isinstance(inner, Mapping):
        return None
    return {k: v for k, v in inner.items() if isinstance(v, str | int | float | bool)}


def conversation(
    item: Mapping[str, Any], asked_ms: int, *, direct: bool
) -> ConversationRecord | Rejected:
    session_id = item.get("session_id")
    if not is_id(session_id):
        return Rejected("conversation", _shown(session_id), "it has no usable session_id")
    meta = _mapping(item.get("meta"))
    return ConversationRecord(
        session_id=session_id,
        fields=_conversation_fields(item, meta),
        metadata=_metadata(item, meta),
        raw=dict(item),
        version=Version(ms(item.get("updated_at")), asked_ms, direct),
        last_fingerprint=fingerprint(_at(item, "preview_message.fingerprint")),
    )


def message(
    item: Mapping[str, Any], session_id: str, asked_ms: int, version: Version | None = None
) -> MessageRecord | Rejected:
    """`version` is given by a source of another age than what was asked for at `asked_ms`, epoch ms."""
    number = fingerprint(item.get("fingerprint"))
    if number is None:
        shown = f"{session_id}/{_shown(item.get('fingerprint'))}"
        return Rejected("message", shown, "its fingerprint is no 64-bit number")
    kind = short(item.get("type")) or "unknown"
    content = item.get("content")
    user = _mapping(item.get("user"))
    sender_id = user.get("user_id")
    return MessageRecord(
        session_id=session_id,
        fingerprint=number,
        direction=direction_of(kind, item.get("from"), sender_id, session_id),
        type=kind[:_MAX_ID],
        body=body_of(kind, content),
        content=None if isinstance(content, str) else content,
        sender_id=sender_id if is_id(sender_id) else None,
        sender_name=short(user.get("nickname")),
        automated=item.get("automated") is True,
        edited=item.get("edited") is True,
        origin=short(item.get("origin")),
        sent_at=from_ms(item.get("timestamp")),
        raw=dict(item),
        version=version or Version(ms(item.get("timestamp")), asked_ms),
    )


def with_custom_data(record: ContactRecord, told: Fields | None) -> ContactRecord:
    """The profile together with its contact data, when that could be read."""
    return record if told is None else replace(record, custom_data=told)


def operator(item: Mapping[str, Any]) -> OperatorRecord | None:
    details = item.get("details")
    if not isinstance(details, Mapping) or not is_id(details.get("user_id")):
        return None
    parts = (short(details.get("first_name")), short(details.get("last_name")))
    name = " ".join(part for part in parts if part) or short(details.get("email"))
    return OperatorRecord(
        user_id=details["user_id"],
        name=name or details["user_id"],
        email=short(details.get("email")),
        role=short(details.get("role")),
    )


def _conversation_fields(item: Mapping[str, Any], meta: Mapping[str, Any]) -> Fields:
    fields = _texts_in(meta, ("nickname", "subject", "origin", "email"))
    fields |= _texts_in(item, ("last_message",))
    status = state(item)
    if status is not None:
        fields["status"] = status
    people_id = item.get("people_id", _MISSING)
    if is_id(people_id) or people_id in (None, ""):
        fields["people_id"] = people_id or None
    if "assigned" in item:
        fields["assigned_user_id"] = _assigned(item["assigned"])
    if "is_verified" in item or "verifications" in item:
        fields["email_verified"] = email_verified(item)
    for column, name in (("crisp_created_at", "created_at"), ("crisp_updated_at", "updated_at")):
        moment = from_ms(item.get(name))
        if moment is not None:
            fields[column] = moment
    return fields


def _metadata(item: Mapping[str, Any], meta: Mapping[str, Any]) -> Fields:
    """What a person may want to see and no rule needs, under names of ours."""
    found = _texts_in(meta, ("phone", "address")) | _texts_in(item, ("topic", "inbox_id"))
    for name, value in (
        ("segments", texts(meta.get("segments", _MISSING))),
        ("data", meta.get("data") if isinstance(meta.get("data"), Mapping) else None),
        ("geolocation", _at(meta, "device.geolocation")),
        ("locales", texts(_at(meta, "device.locales"))),
        ("browser", _at(meta, "device.system.browser.name")),
        ("os", _at(meta, "device.system.os.name")),
        ("participants", item.get("participants")),
    ):
        if value is not None and value is not _MISSING:
            found[name] = value
    return found


def state(item: Mapping[str, Any]) -> str | None:
    """The state; where it is missing, what the status number says."""
    if "state" in item:
        return item["state"] if item["state"] in _STATES else None
    return next((s for n, s in enumerate(_STATES) if _is_number(item.get("status"), n)), None)


def _is_number(value: Any, number: int) -> bool:
    return value == number and not isinstance(value, bool)


def _texts_in(source: Mapping[str, Any], names: Iterable[str]) -> Fields:
    """The texts that the source tells; what is of another type is not told."""
    told = {name: _text_at(source, name) for name in names}
    return {name: text for name, text in told.items() if text is not _MISSING}


def email_verified(item: Mapping[str, Any]) -> bool:
    checks = item.get("verifications")
    listed = checks if isinstance(checks, list) else []
    identities = [check.get("identity") for check in listed if isinstance(check, Mapping)]
    return item.get("is_verified") is True or "email" in identities


def _assigned(value: Any) -> str | None:
    user_id = value.get("user_id") if isinstance(value, Mapping) else None
    return user_id if is_id(user_id) else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _at(value: Any, path: str) -> Any:
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return _MISSING
        value = value[key]
    return value


def _text_at(value: Mapping[str, Any], path: str) -> Any:
    """The text there; None when it is emptied; missing when it is left out or no text."""
    found = _at(value, path)
    if found is None or isinstance(found, str):
        return short(found)
    return _MISSING


def short(value: Any) -> str | None:
    """At most 500 characters, since some are in an index (FAILURES case 58); the raw JSON has all."""
    if not isinstance(value, str):
        return None
    return value.strip()[:_MAX_SHORT] or None


def texts(value: Any) -> list[str] | None:
    if not isinstance(value, list):
        return [] if value is None else None
    return list(dict.fromkeys(s for item in value if (s := short(item))))


def is_id(value: Any) -> TypeGuard[str]:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID and value.isprintable()


def fingerprint(value: Any) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int) or not -_INT64 <= value < _INT64:
        return None
    return value


def ms(value: Any) -> int:
    """A version; what is no time counts as the oldest (FAILURES case 61)."""
    return int(value) if is_ms(value) else 0


def _shown(value: Any) -> str:
    return str(value)[:80]
