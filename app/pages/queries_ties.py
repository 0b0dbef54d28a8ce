"""The e-mail domains that people tied to companies, or told to be nobody's."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, domain_ties
from app.db.base import AnySelect
from app.pages.rows import AnyRow

SHOWN = 500
_t = domain_ties.c


def _ties(website_id: str) -> AnySelect:
    same = and_(companies.c.website_id == _t.website_id, companies.c.id == _t.company_id)
    return (
        select(
            _t.domain, _t.company_id, _t.tied_by, _t.tied_at,
            companies.c.name.label("company_name"), companies.c.deleted_at,
        )
        .select_from(domain_ties.outerjoin(companies, same))
        .where(_t.website_id == website_id)
        .order_by(_t.domain)
    )  # fmt: skip


async def list_ties(connection: AsyncConnection, website_id: str) -> Sequence[AnyRow]:
    """Ignored ones have no company."""
    return (await connection.execute(_ties(website_id).limit(SHOWN))).all()


def ties_query(website_id: str, company_id: str) -> AnySelect:
    return _ties(website_id).where(_t.company_id == company_id).limit(SHOWN)
