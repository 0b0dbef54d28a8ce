"""The addresses of contacts, in the normal form that matching compares (SPEC M2, M8)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.tables import contact_emails
from app.db.upsert import Row, upsert
from app.records import normal_address

_KEY = ("website_id", "email_norm", "contact_id")


async def keep_addresses(
    connection: AsyncConnection, website_id: str, rows: Sequence[Row]
) -> set[str]:
    """Make each contact's address from Crisp the one its row has; the addresses gained or lost.

    Addresses from other sources stay: a contact may have several.
    """
    if not rows:
        return set()
    wanted = {row["id"]: normal_address(row["email"]) for row in rows}
    found = await connection.execute(
        select(contact_emails.c.contact_id, contact_emails.c.email_norm).where(
            contact_emails.c.website_id == website_id,
            contact_emails.c.contact_id.in_(list(wanted)),
            contact_emails.c.source == "crisp",
        )
    )
    stored = {(row.contact_id, row.email_norm) for row in found}
    right = {(contact_id, address) for contact_id, address in wanted.items() if address}
    for contact_id, address in sorted(stored - right):
        await connection.execute(
            delete(contact_emails).where(
                contact_emails.c.website_id == website_id,
                contact_emails.c.contact_id == contact_id,
                contact_emails.c.email_norm == address,
                contact_emails.c.source == "crisp",
            )
        )
    gained = [
        {
            "website_id": website_id,
            "email_norm": address,
            "contact_id": contact_id,
            "is_primary": True,
            "source": "crisp",
        }
        for contact_id, address in right - stored
    ]
    gained.sort(key=lambda row: (str(row["email_norm"]), str(row["contact_id"])))
    await upsert(connection, contact_emails, gained, key=_KEY, update=("is_primary",))
    return {address for _, address in stored ^ right}
