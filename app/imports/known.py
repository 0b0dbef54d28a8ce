"""The stored contacts that the rows of a file are about, as they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.edited import open_memberships
from app.contacts.mapping import COLUMNS
from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow

WITH_ACTIVITY, WITHOUT_ACTIVITY = "a", "-"


@dataclass(slots=True)
class Known:
    """A live contact; `memberships` are those that have not ended."""

    row: StoredRow
    memberships: list[StoredRow] = field(default_factory=list)

    def at(self, target: str) -> Any:
        if target.startswith("attributes."):
            return self.row.attributes.get(target.removeprefix("attributes."))
        return getattr(self.row, target)

    def digest(self, kind: str) -> str:
        """What a plan was made from. When somebody was last active matters only to a file that tells it."""
        row = self.row
        told = [row.email, row.name, row.phone, row.avatar, row.signed_up_at]
        told += [row.attributes, row.segment_sources, row.deleted_at]
        if kind == WITH_ACTIVITY:
            told.append(row.last_active_at)
        raw = orjson.dumps(told, option=orjson.OPT_SORT_KEYS, default=str)
        return kind + hashlib.blake2b(raw, digest_size=12).hexdigest()


_COLUMNS = (
    contacts.c.id,
    *(contacts.c[name] for name in COLUMNS),
    contacts.c.attributes,
    contacts.c.segments,
    contacts.c.segment_sources,
    contacts.c.field_sources,
    contacts.c.source,
    contacts.c.crisp_people_id,
    contacts.c.deleted_at,
)


async def find_holders(
    connection: AsyncConnection, website_id: str, addresses: Sequence[str]
) -> dict[str, list[Known]]:
    """By address, the live contacts that have it; one contact may have several of them."""
    if not addresses:
        return {}
    rows = await connection.execute(
        select(contact_emails.c.email_norm, *_COLUMNS)
        .join_from(
            contact_emails,
            contacts,
            (contact_emails.c.website_id == contacts.c.website_id)
            & (contact_emails.c.contact_id == contacts.c.id),
        )
        .where(
            contact_emails.c.website_id == website_id,
            contact_emails.c.email_norm.in_(addresses),
            contacts.c.deleted_at.is_(None),
        )
        .order_by(contacts.c.id)
    )
    known: dict[str, Known] = {}
    holders: dict[str, list[Known]] = {}
    for row in rows:
        holders.setdefault(row.email_norm, []).append(known.setdefault(row.id, Known(row)))
    await _add_memberships(connection, website_id, known)
    return holders


async def find_contacts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Known]:
    """By id, live or not."""
    if not ids:
        return {}
    rows = await connection.execute(
        select(*_COLUMNS).where(contacts.c.website_id == website_id, contacts.c.id.in_(ids))
    )
    known = {row.id: Known(row) for row in rows}
    await _add_memberships(connection, website_id, known)
    return known


async def _add_memberships(
    connection: AsyncConnection, website_id: str, known: dict[str, Known]
) -> None:
    for contact_id, rows in (await open_memberships(connection, website_id, list(known))).items():
        known[contact_id].memberships = rows
