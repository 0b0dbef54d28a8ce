"""Writing who a conversation belongs to: its contact, and the companies of that contact (SPEC M).

Runs inside the transaction that changed a contact, an address, a binding, a company or a
conversation, over just the conversations that the change can touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from contextlib import nullcontext
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversations
from app.db.base import StoredRow, dump_json
from app.db.changes import note_changes
from app.db.in_turn import Later, Query, execute_later
from app.db.lookup import find_in_turn
from app.db.page_cache import large_page_cache
from app.db.upsert import Row
from app.matching.rules import LINK, MATCHED_BY
from app.matching.statements import (
    dependent,
    domain_of,
    link_companies,
    link_contacts,
    matches_of_new,
    unlink_companies,
)

CHUNK = 400
MANY = 2_000
"""From more conversations on, SQLite gets a large page cache: fewer come to the same pages seldom."""


async def with_links(
    connection: AsyncConnection, website_id: str, rows: Sequence[Row]
) -> list[Row]:
    """Rows of conversations that are not stored yet, with whose they are: written twice they would cost twice.

    Their companies come with `relink`, once they are stored.
    """
    if not rows:
        return []
    asked = [{name: row[name] for name in MATCHED_BY} for row in rows]
    found = await connection.execute(
        matches_of_new(connection.dialect.name), {"website": website_id, "talks": dump_json(asked)}
    )
    links = {match.id: _link(match) for match in found}
    # Of those with nothing to be found by, the row itself is all the news.
    told = [own_id for own_id, link in links.items() if link["unmatched_reason"] != "no_identity"]
    note_changes(connection, "link", website_id, told)
    return [{**row, **links[row["id"]]} for row in rows]


def _link(match: StoredRow) -> Row:
    said = {name: getattr(match, name) for name in LINK}
    return {**said, "matched_at": now() if match.contact_id is not None else None}


async def relink(
    connection: AsyncConnection,
    website_id: str,
    ids: Iterable[str],
    *,
    fresh: Set[str] = frozenset(),
) -> None:
    """Match these conversations anew and give them the companies of their contacts.

    Those that are `fresh` were written just now, `with_links`, and have none that could be taken away.
    """
    ids = set(ids)
    async with large_page_cache(connection) if len(ids) > MANY else nullcontext():
        for chunk in _chunks(ids):
            if known := [one for one in chunk if one not in fresh]:
                link = _noting(connection, link_contacts(whole=False), website_id, known)
                await execute_later(connection, link)
            await execute_later(connection, *_link_companies(connection, website_id, chunk, fresh))


async def relink_all(connection: AsyncConnection, website_id: str) -> None:
    """Match every conversation of a website anew, in a handful of statements."""
    async with large_page_cache(connection):
        link = _noting(connection, link_contacts(whole=True), website_id)
        await execute_later(connection, link, *_link_companies(connection, website_id))


async def relink_companies(
    connection: AsyncConnection, website_id: str, ids: Iterable[str]
) -> None:
    """Only the companies, of conversations whose last message decides about them (`DEPENDENT`)."""
    for chunk in _chunks(ids):
        await execute_later(connection, *_link_companies(connection, website_id, chunk))


def asking_dependent(website_id: str, ids: Sequence[str]) -> Query:
    """Of these conversations those where the time of the last message decides about their companies."""
    return Query(dependent(), {"website": website_id, "ids": ids})


async def touched_conversations(
    connection: AsyncConnection,
    website_id: str,
    *,
    contact_ids: Iterable[str] = (),
    people_ids: Iterable[str] = (),
    addresses: Iterable[str] = (),
) -> set[str]:
    """The conversations that a change of these contacts, people ids or addresses can touch.

    A contact that comes or goes touches all with one of its addresses: they may have been
    ambiguous until now, or become so.
    """
    contact_ids, addresses = set(contact_ids), set(addresses)
    people_ids = set(people_ids)
    asked = [(contact_id,) for contact_id in sorted(contact_ids)]
    # Without `source` SQLite reads all addresses of the website for each contact, from an index that
    # has the other columns.
    told = ("email_norm", "source")
    merged, held = await find_in_turn(
        connection,
        website_id,
        (contacts, ("merged_into",), asked, ("crisp_people_id",)),
        (contact_emails, ("contact_id",), asked, told),
    )
    people_ids |= {row.crisp_people_id for row in merged if row.crisp_people_id is not None}
    addresses |= {row.email_norm for row in held}
    found = await find_in_turn(
        connection,
        website_id,
        *(
            (conversations, (name,), [(value,) for value in sorted(values)], ("id",))
            for name, values in (
                ("contact_id", contact_ids),
                ("people_id", people_ids),
                ("email_norm", addresses),
            )
        ),
    )
    return {row.id for rows in found for row in rows}


async def conversations_of_domains(
    connection: AsyncConnection, website_id: str, domains: Iterable[str]
) -> set[str]:
    """Those whose address is of one of these domains, with a contact or without."""
    rows = await connection.execute(
        select(conversations.c.id).where(
            conversations.c.website_id == website_id,
            domain_of(conversations.c.email_norm).in_(sorted(domains)),
        )
    )
    return set(rows.scalars())


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


def _link_companies(
    connection: AsyncConnection,
    website_id: str,
    ids: list[str] | None = None,
    fresh: Set[str] = frozenset(),
) -> Iterator[Later]:
    link = link_companies(connection.dialect.name, whole=ids is None)
    if ids is not None and fresh >= set(ids):
        # Nobody needs to hear of them: `with_links` told of all that have somebody to belong to.
        yield Later(Query(link, {"website": website_id, "ids": ids}))
        return
    yield _noting(connection, unlink_companies(whole=ids is None), website_id, ids)
    yield _noting(connection, link, website_id, ids)


def _noting(
    connection: AsyncConnection, statement: Any, website_id: str, ids: list[str] | None = None
) -> Later:
    """A statement that returns the conversations whose links it changed, for the change feed."""
    values: dict[str, Any] = {"website": website_id, "matched_at": now()}

    def note(changed: Sequence[Any]) -> None:
        note_changes(connection, "link", website_id, [row[0] for row in changed])

    return Later(Query(statement, values if ids is None else {**values, "ids": ids}), note)
