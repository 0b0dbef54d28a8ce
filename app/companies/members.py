"""Who belongs to which company since when, as Crisp's profiles tell it (SPEC M3, D6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.groups import landed
from app.companies.tables import contact_companies
from app.db.base import StoredRow, new_id
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert


@dataclass(frozen=True, slots=True)
class Membership:
    """A contact and the company its profile names now, None when it names none any more.

    `lands_on`: the contact that a person merged it into, where one did.
    """

    contact_id: str
    company_id: str | None
    at: datetime
    since: datetime
    lands_on: str | None = None


async def keep_memberships(
    connection: AsyncConnection, website_id: str, memberships: Sequence[Membership]
) -> None:
    """One open link from Crisp for each contact; what it replaces is closed, not removed."""
    if not memberships:
        return
    links = await _crisp_links(connection, website_id, memberships)
    closed: list[Row] = []
    opened: list[Row] = []
    for membership in sorted(memberships, key=lambda m: m.contact_id):
        earlier = links.get(membership.contact_id, [])
        current = next((link for link in earlier if link.until is None), None)
        if current is not None and _own_company(current) == membership.company_id:
            continue
        if current is not None:
            closed.append({"website_id": website_id, "id": current.id, "until": membership.at})
        if membership.company_id is not None:
            opened.append(_open(website_id, membership, replaces=bool(earlier)))
    await update_rows(connection, contact_companies, closed, key=("website_id", "id"))
    landing = await landed(connection, website_id, opened)
    await upsert(connection, contact_companies, landing, key=("website_id", "id"), update=())


async def _crisp_links(
    connection: AsyncConnection, website_id: str, memberships: Sequence[Membership]
) -> dict[str, list[StoredRow]]:
    """By the contact that each link belongs to by itself, merged or not."""
    c = contact_companies.c
    merged = [m.contact_id for m in memberships if m.lands_on is not None]
    theirs = and_(
        c.own_contact_id.is_(None), is_one_of(c.contact_id, [m.contact_id for m in memberships])
    )
    rows = await connection.execute(
        select(contact_companies).where(
            c.website_id == website_id,
            or_(theirs, is_one_of(c.own_contact_id, merged)) if merged else theirs,
            c.source == "crisp",
        )
    )
    links: dict[str, list[StoredRow]] = {}
    for row in rows:
        links.setdefault(row.own_contact_id or row.contact_id, []).append(row)
    return links


def _own_company(link: StoredRow) -> str:
    return str(link.own_company_id or link.company_id)


def _open(website_id: str, membership: Membership, *, replaces: bool) -> Row:
    return {
        "website_id": website_id,
        "id": new_id(),
        "contact_id": membership.lands_on or membership.contact_id,
        "own_contact_id": membership.contact_id if membership.lands_on else None,
        "company_id": membership.company_id,
        "source": "crisp",
        "since": membership.at if replaces else membership.since,
        "until": None,
        "replaced_another": replaces,
    }
