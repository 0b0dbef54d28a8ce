"""Conversations without a contact, counted by reason and by the domain of the visitor's address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.pages.rows import AnyRow

MOST_DOMAINS = 300


def domain_of(address: ColumnElement[Any]) -> ColumnElement[str]:
    """What follows the @ of a normal address, in functions that both databases have.

    Stripping from the right every letter that is not `@` leaves `local@`; taking that away leaves
    the domain.
    """
    local_and_at = func.rtrim(address, func.replace(address, "@", ""))
    return func.replace(address, local_and_at, "")


async def by_reason(connection: AsyncConnection, website_id: str) -> Sequence[AnyRow]:
    c = conversations.c
    query = (
        select(
            c.unmatched_reason.label("reason"),
            func.count().label("n"),
            func.max(c.crisp_updated_at, type_=c.crisp_updated_at.type).label("latest"),
        )
        .where(c.website_id == website_id, c.unmatched_reason.is_not(None), c.deleted_at.is_(None))
        .group_by(c.unmatched_reason)
        .order_by(func.count().desc(), c.unmatched_reason)
    )
    return (await connection.execute(query)).all()


async def by_domain(connection: AsyncConnection, website_id: str) -> Sequence[AnyRow]:
    """The largest groups first; those without an address have the domain None."""
    c = conversations.c
    found = (
        select(
            c.unmatched_reason.label("reason"),
            domain_of(c.email_norm).label("domain"),
            c.crisp_updated_at,
        )
        .where(c.website_id == website_id, c.unmatched_reason.is_not(None), c.deleted_at.is_(None))
        .subquery()
    )
    query = (
        select(
            found.c.reason,
            found.c.domain,
            func.count().label("n"),
            func.max(found.c.crisp_updated_at, type_=c.crisp_updated_at.type).label("latest"),
        )
        .group_by(found.c.reason, found.c.domain)
        .order_by(func.count().desc(), found.c.reason, found.c.domain)
        .limit(MOST_DOMAINS + 1)
    )
    return (await connection.execute(query)).all()
