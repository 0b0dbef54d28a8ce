"""The figures of a website, and which conversations wait for an answer."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.pages.queries_conversations import OPEN, last_human, rows_of, waiting
from app.pages.rows import AnyRow


async def totals(connection: AsyncConnection, website_id: str) -> AnyRow:
    c = conversations.c
    people = (
        select(func.count())
        .select_from(contacts)
        .where(contacts.c.website_id == website_id, contacts.c.deleted_at.is_(None))
        .scalar_subquery()
    )
    firms = (
        select(func.count())
        .select_from(companies)
        .where(companies.c.website_id == website_id)
        .scalar_subquery()
    )
    query = select(
        people.label("contacts"),
        firms.label("companies"),
        func.count().label("conversations"),
        func.coalesce(func.sum(case((c.status.in_(OPEN), 1), else_=0)), 0).label("open"),
        func.coalesce(func.sum(c.message_count), 0).label("messages"),
    ).where(c.website_id == website_id, c.deleted_at.is_(None))
    return (await connection.execute(query)).one()


async def longest_waiting(
    connection: AsyncConnection, website_id: str, limit: int
) -> Sequence[AnyRow]:
    since = last_human(messages.c.sent_at)
    query = (
        rows_of(website_id, since.label("waiting_since"))
        .where(*waiting())
        .order_by(conversations.c.crisp_updated_at, conversations.c.id)
        .limit(limit)
    )
    return (await connection.execute(query)).all()


async def count_waiting(connection: AsyncConnection, website_id: str) -> int:
    query = (
        select(func.count())
        .select_from(conversations)
        .where(conversations.c.website_id == website_id, *waiting())
    )
    return (await connection.execute(query)).scalar_one()
