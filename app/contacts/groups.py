"""Contacts that a person merged: the live one answers to the people ids and addresses of all (SPEC D6).

A merged contact stays as it is, hidden, with `merged_into` naming the live one: later profiles are
written to it, and to take the merge back is to remove that name.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import case, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.addresses import copy_addresses
from app.contacts.merge import removal
from app.contacts.tables import contacts
from app.db.changes import note_changes


async def regroup_contacts(
    connection: AsyncConnection, website_id: str, own: Collection[str], counted: str, counts: str
) -> None:
    """The contacts `own` were one with `counted`, and are one with `counts` now.

    The caller holds the website's lock, moves the memberships, and links the conversations anew.
    """
    moment = clock.now()
    mine = contacts.c.id == counts
    await connection.execute(
        update(contacts)
        .where(contacts.c.website_id == website_id, contacts.c.id.in_(sorted(own)))
        .values(
            merged_into=case((mine, null()), else_=counts),
            deleted_at=func.coalesce(contacts.c.deleted_at, moment),
            updated_at=moment,
        )
    )
    if counts in own:
        await _show_again(connection, website_id, counts)
    note_changes(connection, "contact", website_id, sorted({*own, counted, counts}))
    await copy_addresses(connection, website_id, {counted, counts})


async def _show_again(connection: AsyncConnection, website_id: str, contact_id: str) -> None:
    """As it is without the merge: hidden where a person hid it or Crisp removed it."""
    this = (contacts.c.website_id == website_id, contacts.c.id == contact_id)
    row = (await connection.execute(select(contacts).where(*this))).one()
    removed_at = removal(row.removed_observed_ms, row.direct_ms)
    await connection.execute(
        update(contacts).where(*this).values(deleted_at=row.hidden_at or removed_at)
    )
