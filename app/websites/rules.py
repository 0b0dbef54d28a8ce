"""A website's settings as the rest of the program reads them (SPEC C6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.base import StoredRow
from app.db.upsert import lock_key
from app.errors import NotFound
from app.websites.tables import websites


@dataclass(frozen=True, slots=True)
class WebsiteRules:
    id: str
    status: str
    generation: int
    import_people: bool
    import_conversations: bool
    import_notes: bool
    import_custom_data: bool
    import_since: datetime | None
    message_days: int | None
    mapping: Mapping[str, str | None]
    activated_at: datetime | None

    @property
    def keeps_texts_since(self) -> datetime | None:
        """Text of what was sent before then is not kept (SPEC P8)."""
        return texts_kept_since(self.message_days)

    @property
    def applies_hooks(self) -> bool:
        """Before the first import was asked for, hooks are only kept (SPEC C4); while paused too (C9)."""
        return self.status == "connected" and self.activated_at is not None


def texts_kept_since(message_days: int | None) -> datetime | None:
    return None if message_days is None else clock.now() - timedelta(days=message_days)


async def lock_website(connection: AsyncConnection, website_id: str) -> None:
    """One at a time until the transaction ends: a page that is being written, or a new installation.

    Taken before the page's fence, so that no page of the old one is committed behind it (FAILURES case 51).
    """
    await lock_key(connection, lock_of(website_id))


def lock_of(website_id: str) -> str:
    return f"website {website_id}"


async def require_website(connection: AsyncConnection, website_id: str) -> StoredRow:
    """The whole row. Raises NotFound."""
    row = (
        await connection.execute(select(websites).where(websites.c.id == website_id))
    ).one_or_none()
    if row is None:
        raise NotFound(f"Website {website_id} is not connected: crispsync connect {website_id}")
    return row


async def find_rules(connection: AsyncConnection, website_id: str) -> WebsiteRules | None:
    """None when nobody ever heard of this website."""
    try:
        return await rules_of(connection, website_id)
    except NotFound:
        return None


async def rules_of(connection: AsyncConnection, website_id: str) -> WebsiteRules:
    """Raises NotFound."""
    row = await require_website(connection, website_id)
    names = WebsiteRules.__dataclass_fields__
    return WebsiteRules(**{name: getattr(row, name) for name in names})


async def activate(connection: AsyncConnection, website_id: str) -> None:
    """Somebody asked for the first import: from now on hooks are applied (SPEC C4, C7).

    A website that was waiting for it is connected by that.
    """
    await connection.execute(
        update(websites)
        .where(websites.c.id == website_id, websites.c.status == "waiting")
        .values(status="connected", connected_at=clock.now())
    )
    await connection.execute(
        update(websites)
        .where(websites.c.id == website_id, websites.c.activated_at.is_(None))
        .values(activated_at=clock.now())
    )
