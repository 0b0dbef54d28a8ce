"""What pieces of news about one conversation make of the stored row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from app.clock import from_ms, is_ms
from app.db.base import StoredRow
from app.db.upsert import Row
from app.normal import fold_for_search, normal_address
from app.records import ConversationRecord, Fields, is_removed, rank_of
from app.versions import NEVER, Registers, packed

EMPTY: Fields = {
    "people_id": None,
    "nickname": None,
    "email": None,
    "email_verified": False,
    "status": "pending",
    "subject": None,
    "origin": None,
    "assigned_user_id": None,
    "last_message": None,
    "rating": None,
    "crisp_created_at": None,
}
COMPARED = (
    *EMPTY,
    "crisp_updated_at",
    "assigned_to",
    "metadata",
    "field_versions",
    "raw",
    "version_ms",
    "last_fingerprint",
    "direct_ms",
    "deleted_at",
    "messages_due",
)
_METADATA = "metadata."


def merge_conversation(
    website_id: str,
    own_id: str,
    row: StoredRow | None,
    news: Sequence[ConversationRecord],
    names: Mapping[str, str],
) -> Row:
    """The row as it is after `news` of one conversation, in whatever order they came (SPEC D4, D5).

    `names`: of operators, by user id.
    """
    registers = _registers(row)
    merged: Row = blank(website_id, own_id, news[0].session_id) if row is None else _taken(row)
    for record in news:
        _take(merged, registers, record)
    merged["crisp_updated_at"] = _updated_at(merged["crisp_updated_at"], news)
    fields = {name: registers.values.get(name, empty) for name, empty in EMPTY.items()}
    told = {n: v for n, v in registers.values.items() if n.startswith(_METADATA)}
    removed = is_removed(merged["removed_observed_ms"], merged["direct_ms"])
    assigned = fields["assigned_user_id"]
    return merged | {
        **fields,
        "email_norm": normal_address(fields["email"]),
        "assigned_to": names.get(assigned, assigned) if assigned else None,
        "metadata": {n.removeprefix(_METADATA): v for n, v in told.items() if v is not None},
        "field_versions": packed(registers, EMPTY, (n for n, v in told.items() if v is None)),
        "search": fold_for_search(
            *_segments(told), fields["subject"], fields["nickname"], fields["email"]
        ),
        "deleted_at": from_ms(merged["removed_observed_ms"]) if removed else None,
        "messages_due": not removed
        and (row is None or _has_unread(row, merged["version_ms"], merged["last_fingerprint"])),
    }


def _segments(told: Fields) -> list[str]:
    """Among the searched words, so that the few conversations of a segment are found by their index."""
    segments = told.get(f"{_METADATA}segments") or ()
    return [segment for segment in segments if isinstance(segment, str)]


def _registers(row: StoredRow | None) -> Registers:
    if row is None:
        return Registers({}, NEVER, {})
    versions = row.field_versions
    values = {name: getattr(row, name) for name in EMPTY if versions.get(name) != 0}
    values |= {f"{_METADATA}{name}": value for name, value in row.metadata.items()}
    # Told as empty: kept as a version only, since the metadata shows no empty values.
    values |= {n: None for n in versions if n.startswith(_METADATA) and n not in values}
    exceptions = {name: rank for name, rank in versions.items() if rank != 0}
    return Registers(values, rank_of(row.version_ms, row.observed_ms), exceptions)


def blank(website_id: str, own_id: str, session_id: str) -> Row:
    return {
        "website_id": website_id,
        "id": own_id,
        "session_id": session_id,
        "raw": {},
        "crisp_updated_at": None,
        "version_ms": 0,
        "observed_ms": 0,
        "seen_ms": 0,
        "last_fingerprint": None,
        "direct_ms": None,
        "removed_observed_ms": None,
    }


_TAKEN = tuple(blank("", "", ""))


def _taken(row: StoredRow) -> Row:
    return {name: getattr(row, name) for name in _TAKEN}


def _take(merged: Row, registers: Registers, record: ConversationRecord) -> None:
    """One piece of news: its fields, and what a whole record says of the row."""
    version = record.version
    told = {name: value for name, value in record.fields.items() if name in EMPTY}
    if record.metadata:
        told |= {f"{_METADATA}{name}": value for name, value in record.metadata.items()}
    # As new as what is stored, but of a later time of its own: which came first must not decide.
    newest = record.whole and (version.rank, version.crisp_ms) > (
        registers.rank,
        merged["version_ms"],
    )
    registers.tell(told, version.rank, whole=record.whole)
    if not record.whole:
        return
    merged["seen_ms"] = max(merged["seen_ms"], version.observed_ms)
    if version.direct:
        merged["direct_ms"] = max(merged["direct_ms"] or 0, version.observed_ms)
    if newest:
        merged["raw"] = overlay(merged["raw"], record.raw)
        merged["version_ms"] = version.crisp_ms
        merged["observed_ms"] = version.observed_ms
        if record.last_fingerprint is not None:
            merged["last_fingerprint"] = record.last_fingerprint


def _updated_at(stored: datetime | None, news: Sequence[ConversationRecord]) -> datetime | None:
    """The latest of what is stored and told; who tells no time of the change means its own."""
    told = [record.fields.get("crisp_updated_at") for record in news]
    own = [
        record.version.crisp_ms
        for record, moment in zip(news, told, strict=True)
        if moment is None and is_ms(record.version.crisp_ms)
    ]
    moments = (stored, *told, from_ms(max(own)) if own else None)
    return max((moment for moment in moments if moment is not None), default=None)


def overlay(old: Fields, new: Fields) -> Fields:
    """The new raw JSON over the old: what it leaves out stays, in `meta` too (SPEC D5)."""
    merged = {**old, **new}
    if isinstance(old.get("meta"), dict) and isinstance(new.get("meta"), dict):
        merged["meta"] = {**old["meta"], **new["meta"]}
    return merged


def _has_unread(row: StoredRow, version_ms: int, last_fingerprint: int | None) -> bool:
    """Whether its messages must be asked for: something moved since they were read, or never were."""
    return (
        not row.messages_complete
        or row.messages_version_ms != version_ms
        or (last_fingerprint is not None and row.messages_fingerprint != last_fingerprint)
    )
