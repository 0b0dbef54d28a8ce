"""The stored contacts that the rows of a file are about, as they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any, Protocol

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, contact_companies
from app.contacts.mapping import COLUMNS
from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow
from app.db.lookup import find_rows
from app.db.one_of import is_one_of

WITH_ACTIVITY, WITHOUT_ACTIVITY = "a", "-"


class Stored(Protocol):
    """A contact or a company as it is; `at`: what stands in a column, or as `attributes.<key>`."""

    @property
    def row(self) -> StoredRow: ...

    def at(self, target: str) -> Any: ...


@dataclass(slots=True)
class Known:
    """A live contact; `memberships` are those that have not ended."""

    row: StoredRow
    memberships: list[StoredRow] = field(default_factory=list)

    def at(self, target: str) -> Any:
        return value_at(self.row, target)

    def digest(self, kind: str) -> str:
        """What a plan was made from. When somebody was last active matters only to a file that tells it."""
        row = self.row
        told = [row.email, row.name, row.phone, row.avatar, row.signed_up_at]
        told += [row.attributes, row.segment_sources, row.deleted_at]
        if kind == WITH_ACTIVITY:
            told.append(row.last_active_at)
        raw = orjson.dumps(told, option=orjson.OPT_SORT_KEYS, default=str)
        return kind + hashlib.blake2b(raw, digest_size=12).hexdigest()


def value_at(row: StoredRow, target: str) -> Any:
    if target.startswith("attributes."):
        return row.attributes.get(target.removeprefix("attributes."))
    return getattr(row, target)


_COLUMNS = (
    *COLUMNS,
    "attributes",
    "segments",
    "segment_sources",
    "field_sources",
    "source",
    "crisp_people_id",
    "deleted_at",
)


async def find_holders(
    connection: AsyncConnection, website_id: str, addresses: Sequence[str]
) -> dict[str, list[Known]]:
    """By address, the live contacts that have it, by id; one contact may have several of them."""
    asked = [(address,) for address in dict.fromkeys(addresses)]
    held = await find_rows(
        connection, contact_emails, website_id, ("email_norm",), asked, ("contact_id",)
    )
    known = await find_contacts(connection, website_id, [row.contact_id for row in held])
    holders: dict[str, list[Known]] = {}
    for row in sorted(held, key=attrgetter("contact_id")):
        if known[row.contact_id].row.deleted_at is None:
            holders.setdefault(row.email_norm, []).append(known[row.contact_id])
    return holders


async def find_contacts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Known]:
    """By id, live or not."""
    asked = [(contact_id,) for contact_id in dict.fromkeys(ids)]
    rows = await find_rows(connection, contacts, website_id, ("id",), asked, _COLUMNS)
    known = {row.id: Known(row) for row in rows}
    await _add_memberships(connection, website_id, known)
    return known


async def _add_memberships(
    connection: AsyncConnection, website_id: str, known: dict[str, Known]
) -> None:
    for contact_id, rows in (await _open_memberships(connection, website_id, list(known))).items():
        known[contact_id].memberships = rows


async def _open_memberships(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> dict[str, list[StoredRow]]:
    """By contact, those that have not ended: id, company_id, source, and the company's name."""
    if not contact_ids:
        return {}
    link = contact_companies
    # Not a join: PostgreSQL turns it round while it takes new tables for empty (app/db/lookup.py).
    name = (
        select(companies.c.name)
        .where(companies.c.website_id == link.c.website_id, companies.c.id == link.c.company_id)
        .scalar_subquery()
        .label("name")
    )
    rows = await connection.execute(
        select(link.c.contact_id, link.c.id, link.c.company_id, link.c.source, name)
        .where(
            link.c.website_id == website_id,
            is_one_of(link.c.contact_id, contact_ids),
            link.c.until.is_(None),
        )
        .order_by(link.c.since, link.c.id)
    )
    found: dict[str, list[StoredRow]] = {}
    for row in rows:
        found.setdefault(row.contact_id, []).append(row)
    return found
