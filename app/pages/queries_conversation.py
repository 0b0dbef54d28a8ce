"""One conversation: what the page beside its thread shows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, literal, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, contact_companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, link_decisions, messages
from app.db.keyset import Cursor, KeyPage, Order, fetch_page
from app.pages.rows import AnyRow, AnySelect
from app.published.conversation_rows import FIRST_WORDS

PAGE_OF_THREAD = 200
"""Messages shown at once: a long read, and still a page of some hundred kilobytes."""

LATER_SHOWN = 30
"""Messages shown after the one that a link leads to."""
MOST_FINGERPRINT = (1 << 63) - 1

THREAD_ORDER = Order(messages.c.sent_at, messages.c.fingerprint, datetime)


async def get_conversation(
    connection: AsyncConnection, website_id: str, conversation_id: str
) -> AnyRow | None:
    """With its contact's columns as `contact_…`; a removed conversation too."""
    c = conversations.c
    shown = [column for column in c if column.name not in {"search", "raw"}]
    rival = contacts.alias("rival")
    query = (
        select(
            *shown,
            *(contacts.c[name].label(f"contact_{name}") for name in _CONTACT),
            FIRST_WORDS,
            rival.c.name.label("rival_name"),
            rival.c.email.label("rival_email"),
        )
        .select_from(
            conversations.outerjoin(
                contacts, and_(contacts.c.website_id == c.website_id, contacts.c.id == c.contact_id)
            ).outerjoin(
                rival,
                and_(rival.c.website_id == c.website_id, rival.c.id == c.conflicting_contact_id),
            )
        )
        .where(c.website_id == website_id, c.id == conversation_id)
    )
    return (await connection.execute(query)).first()


_CONTACT = (
    "name", "email", "phone", "segments", "attributes", "last_active_at", "deleted_at", "source",
)  # fmt: skip


async def read_thread(
    connection: AsyncConnection, website_id: str, conversation_id: str, cursor: Cursor | None
) -> KeyPage:
    """A page of the thread, newest first. The raw message stays out: nothing shows it."""
    m = messages.c
    query = select(
        m.fingerprint, m.direction, m.type, m.body, m.content, m.sender_id, m.sender_name,
        m.automated, m.origin, m.sent_at, m.edited_at, m.deleted_at, m.text_dropped_at,
    ).where(m.website_id == website_id, m.conversation_id == conversation_id)  # fmt: skip
    return await fetch_page(connection, query, THREAD_ORDER, cursor, PAGE_OF_THREAD)


async def place_of(
    connection: AsyncConnection, website_id: str, conversation_id: str, fingerprint: int
) -> Cursor | None:
    """Where a page begins that shows this message with some later ones; None when there is no such message."""
    m = messages.c
    own = (m.website_id == website_id, m.conversation_id == conversation_id)
    found = await connection.execute(select(m.sent_at).where(*own, m.fingerprint == fingerprint))
    row = found.first()
    if row is None:
        return None
    edge = (row.sent_at, fingerprint)
    if row.sent_at is not None:
        query = (
            select(m.sent_at, m.fingerprint)
            .where(
                *own,
                tuple_(m.sent_at, m.fingerprint)
                > tuple_(*map(_bound, (m.sent_at, m.fingerprint), edge)),
            )
            .order_by(m.sent_at, m.fingerprint)
            .limit(LATER_SHOWN)
        )
        later = (await connection.execute(query)).all()
        edge = (later[-1].sent_at, later[-1].fingerprint) if later else edge
    return Cursor(False, edge[0], min(edge[1] + 1, MOST_FINGERPRINT))


def _bound(column: ColumnElement[Any], value: Any) -> ColumnElement[Any]:
    return literal(value, column.type)


def memberships_query(website_id: str, contact_id: str) -> AnySelect:
    """A contact's companies, present ones first, without deleted ones."""
    link = contact_companies.c
    return (
        select(
            companies.c.id,
            companies.c.name,
            companies.c.domain,
            link.since,
            link.until,
            link.source,
        )
        .join_from(
            contact_companies,
            companies,
            and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id),
        )
        .where(
            link.website_id == website_id,
            link.contact_id == contact_id,
            companies.c.deleted_at.is_(None),
        )
        .order_by(link.until.is_not(None), link.since.desc(), companies.c.id)
    )


def decisions_query(website_id: str, conversation_id: str) -> AnySelect:
    d = link_decisions.c
    return (
        select(
            d.contact_id, d.decision, d.decided_by, d.decided_at, contacts.c.name, contacts.c.email
        )
        .select_from(
            link_decisions.outerjoin(
                contacts,
                and_(contacts.c.website_id == d.website_id, contacts.c.id == d.contact_id),
            )
        )
        .where(d.website_id == website_id, d.conversation_id == conversation_id)
        .order_by(d.decided_at.desc(), d.contact_id)
        .limit(20)
    )


async def neighbours(connection: AsyncConnection, website_id: str, row: AnyRow) -> AnyRow | None:
    """The ids of the conversations updated just after and just before this one."""
    if row.crisp_updated_at is None:
        return None
    c = conversations.c
    live = (c.website_id == website_id, c.deleted_at.is_(None))
    at, key = row.crisp_updated_at, row.id
    later = or_(c.crisp_updated_at > at, and_(c.crisp_updated_at == at, c.id > key))
    earlier = or_(c.crisp_updated_at < at, and_(c.crisp_updated_at == at, c.id < key))
    newer = select(c.id).where(*live, c.crisp_updated_at >= at, later)
    older = select(c.id).where(*live, c.crisp_updated_at <= at, earlier)
    query = select(
        newer.order_by(c.crisp_updated_at, c.id).limit(1).scalar_subquery().label("newer"),
        older.order_by(c.crisp_updated_at.desc(), c.id.desc())
        .limit(1)
        .scalar_subquery()
        .label("older"),
    )
    return (await connection.execute(query)).one()
