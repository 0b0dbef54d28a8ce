"""Which e-mail domain a person tied to which company, or told to be nobody's (SPEC M9, V5)."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import domain_ties
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.upsert import Row, upsert

_KEY = ("website_id", "domain")
_VALUES = ("company_id", "own_company_id", "tied_by", "tied_at")


async def find_ties(
    connection: AsyncConnection, website_id: str, domains: Collection[str]
) -> dict[str, StoredRow]:
    """Those that there are, by domain; without a company: ignored."""
    rows = await connection.execute(
        select(domain_ties).where(
            domain_ties.c.website_id == website_id, is_one_of(domain_ties.c.domain, domains)
        )
    )
    return {row.domain: row for row in rows}


async def keep_ties(connection: AsyncConnection, rows: Sequence[Row]) -> None:
    """The caller links the conversations of these domains again."""
    ordered = sorted(rows, key=lambda row: (row["website_id"], row["domain"]))
    await upsert(connection, domain_ties, ordered, key=_KEY, update=_VALUES)


async def drop_ties(connection: AsyncConnection, website_id: str, domains: Collection[str]) -> None:
    """As `keep_ties`."""
    await connection.execute(
        delete(domain_ties).where(
            domain_ties.c.website_id == website_id, is_one_of(domain_ties.c.domain, domains)
        )
    )
