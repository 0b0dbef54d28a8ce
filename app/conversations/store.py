"""Writing what Crisp says of conversations; whose they are is decided in app/matching."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import NamedTuple

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.expiry import without_excerpt
from app.conversations.merge import COMPARED, merge_conversation
from app.conversations.tables import conversations, operators
from app.db.base import AnySelect, StoredRow
from app.db.changes import note_changes
from app.db.in_turn import Query
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.records import ConversationRecord, OperatorRecord, conversation_id

_KEY = ("website_id", "id")


class Stored(NamedTuple):
    """Conversations by id, and the names of operators by theirs."""

    rows: Mapping[str, StoredRow]
    names: Mapping[str, str]

    @staticmethod
    def of(rows: Sequence[StoredRow], names: Sequence[StoredRow]) -> Stored:
        return Stored({row.id: row for row in rows}, {row.user_id: row.name for row in names})


Linking = Callable[[AsyncConnection, str, Sequence[Row]], Awaitable[Sequence[Row]]]
"""From rows of a website that are new to the same with whose they are."""


async def write_conversations(
    connection: AsyncConnection,
    website_id: str,
    records: Sequence[ConversationRecord],
    stored: Stored,
    linking: Linking,
    texts_since: datetime | None = None,
) -> tuple[set[str], set[str]]:
    """Insert or update; the ids of those that are new here, and of those that said something new.

    `stored`: what `asking_stored` found of them. Those met whole are marked as seen.

    The words of a last message from before `texts_since` stay out (SPEC P8).
    """
    told = _by_id(website_id, [without_excerpt(record, texts_since) for record in records])
    if not told:
        return set(), set()
    known, names = stored
    fresh: list[Row] = []
    changed: list[Row] = []
    met: list[Row] = []
    for own_id, news in told.items():
        row = known.get(own_id)
        merged = merge_conversation(website_id, own_id, row, news, names)
        if row is None:
            fresh.append({**merged, **NEVER_READ})
        elif all(getattr(row, name) == merged[name] for name in COMPARED):
            met.append({name: merged[name] for name in _MET})
        else:
            changed.append(merged)
    linked = await linking(connection, website_id, fresh)
    await upsert(connection, conversations, linked, key=_KEY, update=())
    await update_rows(connection, conversations, _moved(known, changed), key=_KEY)
    await update_rows(connection, conversations, met, key=_KEY)
    return {row["id"] for row in fresh}, {row["id"] for row in changed}


def _moved(known: Mapping[str, StoredRow], changed: Sequence[Row]) -> list[Row]:
    """Without the columns that stay as they are in every row: SQLite writes the indexes of all it is given."""
    if not changed:
        return []
    pairs = [(row, known[row["id"]]) for row in changed]
    names = [
        name
        for name in changed[0]
        if name in _KEY or any(row[name] != getattr(old, name) for row, old in pairs)
    ]
    return [{name: row[name] for name in names} for row in changed]


_MET = ("website_id", "id", "seen_ms", "observed_ms")
NEVER_READ: Row = {
    "match_verified": False,
    "unmatched_reason": "no_identity",
    "message_count": 0,
    "messages_complete": False,
}


def _by_id(
    website_id: str, records: Iterable[ConversationRecord]
) -> dict[str, list[ConversationRecord]]:
    told: dict[str, list[ConversationRecord]] = {}
    for record in records:
        told.setdefault(conversation_id(website_id, record.session_id), []).append(record)
    return dict(sorted(told.items()))


async def find_known(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, StoredRow]:
    rows = await connection.execute(_known(), {"website": website_id, "ids": ids})
    return {row.id: row for row in rows}


def asking_stored(website_id: str, records: Sequence[ConversationRecord]) -> tuple[Query, Query]:
    """What is stored of these conversations, and the names of all operators whose they are or were."""
    values = {
        "website": website_id,
        "ids": sorted({conversation_id(website_id, record.session_id) for record in records}),
        "operators": sorted({one for r in records if (one := r.fields.get("assigned_user_id"))}),
    }
    return Query(_known(), values), Query(_names(), values)


@cache
def _known() -> AnySelect:
    return select(conversations).where(
        conversations.c.website_id == bindparam("website"), is_one_of(conversations.c.id, "ids")
    )


@cache
def _names() -> AnySelect:
    theirs = select(conversations.c.assigned_user_id).where(
        conversations.c.website_id == bindparam("website"), is_one_of(conversations.c.id, "ids")
    )
    return select(operators.c.user_id, operators.c.name).where(
        operators.c.website_id == bindparam("website"),
        or_(is_one_of(operators.c.user_id, "operators"), operators.c.user_id.in_(theirs)),
    )


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
    renamed = await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.assigned_user_id == operators.c.user_id,
            operators.c.website_id == website_id,
            conversations.c.assigned_to.is_distinct_from(operators.c.name),
        )
        .values(assigned_to=operators.c.name)
        .returning(conversations.c.id)
    )
    note_changes(connection, "conversation", website_id, sorted(renamed.scalars()))
