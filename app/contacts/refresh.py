"""Contacts of which a hook told less than the whole: when to ask Crisp for them."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.tables import contacts
from app.db.refresh import mark_due


async def look_at_contacts(
    connection: AsyncConnection, website_id: str, hints: Mapping[str, int], met: Collection[str]
) -> None:
    """By people id: `hints` tell the time of the news, epoch ms; of those `met`, only the ones never read."""
    await mark_due(connection, contacts, "crisp_people_id", website_id, hints, met)
