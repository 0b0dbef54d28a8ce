"""What was merged into a contact or company, and who it could be merged with."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.db.keyset import ByteOrder
from app.edits.journal import Kind
from app.matching.tables import merges
from app.pages.rows import AnyRow, AnySelect
from app.published.searching import matching_words

CANDIDATES = 20


def merges_query(website_id: str, kind: Kind, winner_id: str) -> AnySelect:
    """Newest first, with the `name` and `email` or `domain` of what was merged."""
    table = contacts if kind == "contact" else companies
    second = contacts.c.email if kind == "contact" else companies.c.domain
    return (
        select(
            merges.c.id, merges.c.loser_id, merges.c.merged_at, merges.c.merged_by,
            table.c.name, second.label("second"),
        )
        .join_from(
            merges,
            table,
            and_(table.c.website_id == merges.c.website_id, table.c.id == merges.c.loser_id),
        )
        .where(
            merges.c.website_id == website_id,
            merges.c.kind == kind,
            merges.c.winner_id == winner_id,
            merges.c.undone_at.is_(None),
        )
        .order_by(merges.c.number.desc())
    )  # fmt: skip


async def candidates(
    connection: AsyncConnection, website_id: str, kind: Kind, q: str, besides: str | None
) -> Sequence[AnyRow]:
    """Live contacts or companies with these words in their name or address."""
    table = contacts if kind == "contact" else companies
    second = contacts.c.email if kind == "contact" else companies.c.domain
    query = select(table.c.id, table.c.name, second.label("second")).where(
        table.c.website_id == website_id, table.c.deleted_at.is_(None)
    )
    if besides is not None:
        query = query.where(table.c.id != besides)
    found = matching_words(query, table, q).order_by(ByteOrder(table.c.search), table.c.id)
    return (await connection.execute(found.limit(CANDIDATES))).all()
