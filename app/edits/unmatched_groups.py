"""Conversations without a contact in groups, about which somebody can be asked (SPEC V5)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.base import StoredRow
from app.edits.wishes import unmatched_of
from app.matching.settled import is_open
from app.matching.statements import domain_of

MOST_DOMAINS = 300
_c = conversations.c


async def by_domain(connection: AsyncConnection, website_id: str) -> Sequence[StoredRow]:
    """Of those that are not settled the largest groups first; without an address the domain is None."""
    found = (
        select(
            _c.unmatched_reason.label("reason"),
            domain_of(_c.email_norm).label("domain"),
            _c.crisp_updated_at,
        )
        .where(*unmatched_of(website_id), is_open(website_id))
        .subquery()
    )
    query = (
        select(
            found.c.reason,
            found.c.domain,
            func.count().label("n"),
            func.max(found.c.crisp_updated_at, type_=_c.crisp_updated_at.type).label("latest"),
        )
        .group_by(found.c.reason, found.c.domain)
        .order_by(func.count().desc(), found.c.reason, found.c.domain)
        .limit(MOST_DOMAINS + 1)
    )
    return (await connection.execute(query)).all()
