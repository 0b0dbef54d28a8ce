"""What changed, told by the transaction that changed it: what the change feed is made of (SPEC V7).

Writers note the rows they change; `upsert` and `update_rows` do it by themselves. On commit the notes
become a few rows of `change_batches`: one for each kind, however many rows changed. Their numbers come
from a row of the website that stays locked until the commit is done, so they become visible in the
order of their commits: who has read up to a number has missed nothing below it (FAILURES case 77).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias, get_args

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Text, event, text
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import (
    BigInt,
    ChangeKind,
    Json,
    UtcDateTime,
    dump_json,
    moment_text,
    website_table,
)
from app.db.in_turn import Query, commit_with, send_before_all_else, send_what_is_heard

KINDS: tuple[ChangeKind, ...] = get_args(ChangeKind)
"""In the order in which one transaction tells them: what is referred to comes first.

A membership is a contact's in a company; a link is whose a conversation is, by its id.
"""
Key: TypeAlias = Any
"""The row's id; of a message (conversation id, fingerprint)."""

MOST_IN_A_BATCH = 500

change_batches = website_table(
    "change_batches",
    Column("number", BigInt, nullable=False),
    Column("kind", Text, nullable=False),
    # A list of ids; of messages, lists of a conversation's id and fingerprints.
    Column("ids", Json, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "number"),
    Index(None, "changed_at"),
)

# Numbers up to `dropped` are not kept any more. The first one is the time in ms: those of a website
# that was erased and connected again are higher than any that somebody still holds.
change_counters = website_table(
    "change_counters",
    Column("last", BigInt, nullable=False),
    Column("dropped", BigInt, nullable=False),
    PrimaryKeyConstraint("website_id"),
)

NOTES, _SAVED = "changes noted", "changes noted before savepoints"
LOCKS = "locks held"
"""Of the transaction that is open, by `lock_key`."""
_ADVANCE = text(
    "INSERT INTO change_counters (website_id, last, dropped) VALUES (:website, :start + :n, :start)"
    " ON CONFLICT (website_id) DO UPDATE SET last = change_counters.last + :n RETURNING last"
)
_INSERT_SQLITE = (
    "INSERT INTO change_batches (website_id, number, kind, ids, changed_at)"
    " SELECT :website, :first + key, json_extract(value, '$[0]'), json_extract(value, '$[1]'), :at"
    " FROM json_each(:batches)"
)

_ADVANCE_AND_INSERT = text(
    f"WITH told AS ({_ADVANCE})"  # noqa: S608  # made of the constant above
    " INSERT INTO change_batches (website_id, number, kind, ids, changed_at)"
    " SELECT :website, told.last - :n + batch.number, batch.value ->> 0, batch.value -> 1, :at"
    " FROM told, jsonb_array_elements(CAST(:batches AS jsonb)) WITH ORDINALITY AS batch (value, number)"
)

Notes: TypeAlias = dict[tuple[str, ChangeKind], dict[Key, None]]


def note_changes(
    connection: AsyncConnection, kind: ChangeKind, website_id: str, ids: Iterable[Key]
) -> None:
    """These rows were written, or deleted, in the transaction that is open.

    Whoever writes a table that the feed tells of by a statement of its own calls this, also when
    nothing changed; tests/fixtures/told.py looks whether it was forgotten.
    """
    notes: Notes = connection.info.setdefault(NOTES, {})
    notes.setdefault((website_id, kind), {}).update(dict.fromkeys(ids))


def watch_commits(engine: Engine) -> None:
    """Have the notes of each transaction of this engine written when it commits, and only then."""
    if engine.dialect.name != "sqlite":
        send_before_all_else(engine)
    event.listen(engine, "begin", _forget)
    event.listen(engine, "rollback", _forget)
    event.listen(engine, "commit", _write)
    event.listen(engine, "savepoint", _save)
    event.listen(engine, "rollback_savepoint", _restore)
    event.listen(engine, "release_savepoint", _release)


def _forget(connection: Connection) -> None:
    if connection.invalidated:  # the server went, and the notes with the connection
        return
    for name in (NOTES, _SAVED, LOCKS):
        connection.info.pop(name, None)


def _save(connection: Connection, _name: str | None) -> None:
    notes: Notes = connection.info.get(NOTES, {})
    saved = {key: dict(ids) for key, ids in notes.items()}
    connection.info.setdefault(_SAVED, []).append(saved)


def _restore(connection: Connection, _name: str, _context: object) -> None:
    if not connection.invalidated:
        connection.info[NOTES] = connection.info[_SAVED].pop()


def _release(connection: Connection, _name: str, _context: object) -> None:
    connection.info[_SAVED].pop()


def _write(connection: Connection) -> None:
    on_sqlite = connection.dialect.name == "sqlite"
    if not on_sqlite:
        send_what_is_heard(connection)
    notes: Notes = connection.info.pop(NOTES, {})
    connection.info.pop(_SAVED, None)
    last: list[Query] = []
    # In one order, so that two transactions of the same websites never wait for each other.
    for website_id in sorted({website_id for (website_id, _), ids in notes.items() if ids}):
        batches = list(_batches(notes, website_id))
        start = int(time.time() * 1000)
        values = {"website": website_id, "n": len(batches), "start": start}
        if on_sqlite:
            told = connection.exec_driver_sql(str(_ADVANCE), values).scalar_one()
            values |= {"first": told - len(batches) + 1, "batches": dump_json(batches)}
            values |= {"at": moment_text(clock.now())}
            connection.exec_driver_sql(_INSERT_SQLITE, values)
            continue
        values |= {"batches": dump_json(batches), "at": clock.now()}
        last.append(Query(_ADVANCE_AND_INSERT, values))
    if not on_sqlite:
        commit_with(connection, *last)


def _batches(notes: Notes, website_id: str) -> Iterator[tuple[ChangeKind, list[Any]]]:
    for kind in KINDS:
        ids = list(notes.get((website_id, kind), ()))
        for start in range(0, len(ids), MOST_IN_A_BATCH):
            part = ids[start : start + MOST_IN_A_BATCH]
            yield kind, _grouped(part) if kind == "message" else part


def _grouped(keys: Iterable[tuple[str, int]]) -> list[list[Any]]:
    """A conversation's id once, before its fingerprints: a third of the size."""
    groups: dict[str, list[Any]] = {}
    for conversation_id, fingerprint in keys:
        groups.setdefault(conversation_id, [conversation_id]).append(fingerprint)
    return list(groups.values())


def keys_in(kind: str, ids: list[Any]) -> list[Key]:
    """The keys of a batch, always in the same order."""
    if kind != "message":
        return ids
    return [(group[0], fingerprint) for group in ids for fingerprint in group[1:]]
