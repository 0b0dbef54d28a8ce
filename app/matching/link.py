"""Writing who a conversation belongs to: its contact, and the companies of that contact (SPEC M).

Runs inside the transaction that changed a contact, an address, a binding, a company or a
conversation, over just the conversations that the change can touch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import (
    ColumnElement,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now
from app.companies.tables import contact_companies
from app.conversations.tables import conversation_companies, conversations
from app.db.base import UtcDateTime
from app.db.upsert import insert_for
from app.matching.rules import matches

CHUNK = 400


async def relink(connection: AsyncConnection, website_id: str, ids: Iterable[str]) -> None:
    """Match these conversations anew and give them the companies of their contacts."""
    for chunk in _chunks(ids):
        await _link(connection, website_id, conversations.c.id.in_(chunk))


async def relink_all(connection: AsyncConnection, website_id: str) -> None:
    """Match every conversation of a website anew, in a handful of statements."""
    await _link(connection, website_id, true())


async def relink_companies(
    connection: AsyncConnection, website_id: str, ids: Iterable[str]
) -> None:
    """Only the companies: for when a conversation's last message moved past a change of company."""
    for chunk in _chunks(ids):
        await _link_companies(connection, website_id, conversations.c.id.in_(chunk))


async def touched_conversations(
    connection: AsyncConnection,
    website_id: str,
    *,
    contact_ids: Iterable[str] = (),
    people_ids: Iterable[str] = (),
    addresses: Iterable[str] = (),
) -> set[str]:
    """The conversations that a change of these contacts, people ids or addresses can touch."""
    found: set[str] = set()
    for column, values in (
        (conversations.c.contact_id, contact_ids),
        (conversations.c.people_id, people_ids),
        (conversations.c.email_norm, addresses),
    ):
        for chunk in _chunks(values):
            rows = await connection.execute(
                select(conversations.c.id).where(
                    conversations.c.website_id == website_id, column.in_(chunk)
                )
            )
            found.update(row.id for row in rows)
    return found


def _chunks(values: Iterable[str]) -> Iterator[list[str]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), CHUNK):
        yield ordered[start : start + CHUNK]


async def _link(connection: AsyncConnection, website_id: str, scope: ColumnElement[bool]) -> None:
    await _link_contacts(connection, website_id, scope)
    await _link_companies(connection, website_id, scope)


async def _link_contacts(
    connection: AsyncConnection, website_id: str, scope: ColumnElement[bool]
) -> None:
    found = matches(website_id, scope).subquery("found")
    pairs = {
        "contact_id": found.c.contact_id,
        "match_rule": found.c.rule,
        "match_value": found.c.value,
        "match_verified": found.c.verified,
        "conflicting_contact_id": found.c.conflict,
        "unmatched_reason": found.c.reason,
    }
    moment = bindparam("matched_at", now(), UtcDateTime())
    await connection.execute(
        update(conversations)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.id == found.c.id,
            or_(*(conversations.c[name].is_distinct_from(new) for name, new in pairs.items())),
        )
        .values(
            **pairs,
            matched_at=case(
                (conversations.c.contact_id == found.c.contact_id, conversations.c.matched_at),
                (found.c.contact_id.is_not(None), moment),
            ),
        )
    )


async def _link_companies(
    connection: AsyncConnection, website_id: str, scope: ColumnElement[bool]
) -> None:
    in_scope = select(conversations.c.id).where(conversations.c.website_id == website_id, scope)
    await connection.execute(
        delete(conversation_companies).where(
            conversation_companies.c.website_id == website_id,
            conversation_companies.c.conversation_id.in_(in_scope),
            ~exists().where(
                conversations.c.website_id == website_id,
                conversations.c.id == conversation_companies.c.conversation_id,
                contact_companies.c.company_id == conversation_companies.c.company_id,
                *_covered(website_id),
            ),
        )
    )
    wanted = (
        select(conversations.c.website_id, conversations.c.id, contact_companies.c.company_id)
        .where(conversations.c.website_id == website_id, scope, *_covered(website_id))
        .distinct()
    )
    await connection.execute(
        insert_for(connection, conversation_companies)
        .from_select(["website_id", "conversation_id", "company_id"], wanted)
        .on_conflict_do_nothing()
    )


def _covered(website_id: str) -> tuple[ColumnElement[bool], ...]:
    """The membership covers the conversation's last message (SPEC M3)."""
    last: Any = func.coalesce(
        conversations.c.last_message_at, conversations.c.crisp_created_at, type_=UtcDateTime()
    )
    since, until = contact_companies.c.since, contact_companies.c.until
    return (
        contact_companies.c.website_id == website_id,
        contact_companies.c.contact_id == conversations.c.contact_id,
        or_(~contact_companies.c.replaced_another, since <= last),
        or_(until.is_(None), and_(last.is_not(None), last < until)),
    )
