"""Writing what Crisp says of conversations; whose they are is decided in app/matching."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now
from app.conversations.tables import conversations, operators
from app.db.base import StoredRow
from app.db.upsert import Row, met_again, update_rows, upsert
from app.records import (
    ConversationRecord,
    Fields,
    OperatorRecord,
    Version,
    conversation_id,
    fold_for_search,
)

_KEY = ("website_id", "id")
_EMPTY: Fields = {
    "people_id": None,
    "nickname": None,
    "email": None,
    "email_norm": None,
    "email_verified": False,
    "status": "pending",
    "subject": None,
    "origin": None,
    "assigned_user_id": None,
    "last_message": None,
    "crisp_created_at": None,
    "crisp_updated_at": None,
}
_COMPARED = (
    *_EMPTY,
    "assigned_to",
    "metadata",
    "raw",
    "version_ms",
    "last_fingerprint",
    "messages_due",
)


async def write_conversations(
    connection: AsyncConnection, website_id: str, records: Sequence[ConversationRecord]
) -> set[str]:
    """Insert or update; the ids of those that said something new. All are marked as seen."""
    newest = _newest(website_id, records)
    if not newest:
        return set()
    known = await _find_known(connection, website_id, list(newest))
    names = await _operator_names(connection, website_id, newest.values())
    fresh: list[Row] = []
    changed: list[Row] = []
    met: list[Row] = []
    for own_id, record in newest.items():
        row = known.get(own_id)
        if row is not None and not _is_news(row, record.version):
            met.append(met_again(row, record.version, confirmed=False))
            continue
        merged = _merge(website_id, own_id, row, record, names)
        if row is None:
            fresh.append({**merged, **_NEVER_READ})
        elif _same(row, merged):
            met.append(met_again(row, record.version, confirmed=True))
        else:
            changed.append(merged)
    await upsert(connection, conversations, fresh, key=_KEY, update=())
    await update_rows(connection, conversations, changed, key=_KEY)
    await update_rows(connection, conversations, met, key=_KEY)
    return {row["id"] for row in (*fresh, *changed)}


_NEVER_READ: Row = {
    "match_verified": False,
    "unmatched_reason": "no_identity",
    "rating": None,
    "message_count": 0,
    "messages_complete": False,
}


def _newest(
    website_id: str, records: Iterable[ConversationRecord]
) -> dict[str, ConversationRecord]:
    best: dict[str, ConversationRecord] = {}
    for record in records:
        own_id = conversation_id(website_id, record.session_id)
        other = best.get(own_id)
        if other is None or _order(record.version) >= _order(other.version):
            best[own_id] = record
    return dict(sorted(best.items()))


def _order(version: Version) -> tuple[int, int]:
    return version.crisp_ms, version.observed_ms


async def _find_known(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, StoredRow]:
    rows = await connection.execute(
        select(conversations).where(
            conversations.c.website_id == website_id, conversations.c.id.in_(ids)
        )
    )
    return {row.id: row for row in rows}


async def _operator_names(
    connection: AsyncConnection, website_id: str, records: Iterable[ConversationRecord]
) -> dict[str, str]:
    wanted = {r.fields["assigned_user_id"] for r in records if r.fields.get("assigned_user_id")}
    if not wanted:
        return {}
    rows = await connection.execute(
        select(operators.c.user_id, operators.c.name).where(
            operators.c.website_id == website_id, operators.c.user_id.in_(sorted(wanted))
        )
    )
    return {row.user_id: row.name for row in rows}


def _is_news(row: StoredRow, version: Version) -> bool:
    """Newer than what is stored, and able to revive the row if it was removed (SPEC D4)."""
    if row.removed_observed_ms is not None:
        return version.direct and version.observed_ms > row.removed_observed_ms
    return _order(version) > (row.version_ms, row.observed_ms)


def _merge(
    website_id: str,
    own_id: str,
    row: StoredRow | None,
    record: ConversationRecord,
    names: Mapping[str, str],
) -> Row:
    fields = {
        name: record.fields.get(name, getattr(row, name, default) if row is not None else default)
        for name, default in _EMPTY.items()
    }
    metadata = {**(row.metadata if row is not None else {}), **record.metadata}
    last = record.last_fingerprint
    if last is None and row is not None:
        last = row.last_fingerprint
    assigned = fields["assigned_user_id"]
    return {
        "website_id": website_id,
        "id": own_id,
        "session_id": record.session_id,
        **fields,
        "assigned_to": names.get(assigned, assigned) if assigned else None,
        "metadata": {key: value for key, value in metadata.items() if value is not None},
        "raw": overlay(row.raw, record.raw) if row is not None else record.raw,
        "search": fold_for_search(fields["subject"], fields["nickname"], fields["email"]),
        "version_ms": record.version.crisp_ms,
        "observed_ms": record.version.observed_ms,
        "seen_ms": record.version.observed_ms,
        "deleted_at": None,
        "removed_observed_ms": None,
        "last_fingerprint": last,
        "messages_due": row is None or _has_unread(row, record.version.crisp_ms, last),
    }


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


def _same(row: StoredRow, merged: Row) -> bool:
    if row.removed_observed_ms is not None:
        return False
    return all(getattr(row, name) == merged[name] for name in _COMPARED)


async def bury_conversations(
    connection: AsyncConnection, website_id: str, ids: Sequence[str], observed_ms: int
) -> int:
    """Mark as removed in Crisp, as observed then; how many were live until now."""
    rows = await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.id.in_(ids),
            conversations.c.deleted_at.is_(None),
            conversations.c.observed_ms <= observed_ms,
        )
        .values(deleted_at=now(), removed_observed_ms=observed_ms, messages_due=False)
        .returning(conversations.c.id)
    )
    return len(rows.all())


async def write_operators(
    connection: AsyncConnection, website_id: str, records: Sequence[OperatorRecord]
) -> None:
    """Keep names; conversations assigned to a renamed operator show the new name."""
    rows: list[Row] = [
        {
            "website_id": website_id,
            "user_id": record.user_id,
            "name": record.name,
            "email": record.email,
            "role": record.role,
        }
        for record in sorted(records, key=lambda r: r.user_id)
    ]
    await upsert(
        connection,
        operators,
        rows,
        key=("website_id", "user_id"),
        update=("name", "email", "role"),
    )
    await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.assigned_user_id == operators.c.user_id,
            operators.c.website_id == website_id,
            conversations.c.assigned_to.is_distinct_from(operators.c.name),
        )
        .values(assigned_to=operators.c.name)
    )
