"""Remedies that were done to conversations without a contact, and what each of them wrote."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies
from app.contacts.tables import contacts
from app.db.base import AnySelect
from app.edits.tables import remedies, remedy_rows
from app.pages.rows import AnyRow

LATEST = 5
SHOWN = 50
HISTORY = 200
_r, _w = remedies.c, remedy_rows.c


def _remedies(website_id: str) -> AnySelect:
    """With the names of the contact and the company that they were about."""
    contact = and_(contacts.c.website_id == _r.website_id, contacts.c.id == _r.contact_id)
    company = and_(companies.c.website_id == _r.website_id, companies.c.id == _r.company_id)
    return (
        select(
            remedies,
            contacts.c.name.label("contact_name"),
            contacts.c.email.label("contact_email"),
            companies.c.name.label("company_name"),
        )
        .select_from(remedies.outerjoin(contacts, contact).outerjoin(companies, company))
        .where(_r.website_id == website_id)
    )


async def latest_remedies(
    connection: AsyncConnection, website_id: str, limit: int
) -> Sequence[AnyRow]:
    query = _remedies(website_id).order_by(_r.number.desc()).limit(limit)
    return (await connection.execute(query)).all()


async def get_remedy(connection: AsyncConnection, website_id: str, remedy_id: str) -> AnyRow | None:
    query = _remedies(website_id).where(_r.id == remedy_id)
    return (await connection.execute(query)).one_or_none()


async def keys_of(
    connection: AsyncConnection, website_id: str, remedy_id: str, what: Sequence[str]
) -> list[str]:
    """The first contacts, conversations or domains that it wrote."""
    query = (
        select(_w.key)
        .where(_w.website_id == website_id, _w.remedy_id == remedy_id, _w.what.in_(what))
        .order_by(_w.key)
        .limit(SHOWN)
    )
    return list((await connection.execute(query)).scalars())


async def read_contacts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> Sequence[AnyRow]:
    c = contacts.c
    query = (
        select(c.id, c.name, c.email, c.deleted_at)
        .where(c.website_id == website_id, c.id.in_(ids))
        .order_by(func.coalesce(c.name, c.email), c.id)
    )
    return (await connection.execute(query)).all()
