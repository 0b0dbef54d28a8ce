"""What a scheduled pull found and no hook had told, by website and day."""

from __future__ import annotations

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.upsert import insert_for
from app.websites.tables import missed_hooks

MissedKind = Literal["message", "conversation", "contact"]


async def count_missed(
    connection: AsyncConnection, website_id: str, kind: MissedKind, missed: int
) -> None:
    """Add to what a pull found today (UTC) and no hook had told."""
    if missed <= 0:
        return
    statement = insert_for(connection, missed_hooks).values(
        website_id=website_id, day=clock.now().date().isoformat(), kind=kind, missed=missed
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["website_id", "day", "kind"],
            set_={"missed": missed_hooks.c.missed + statement.excluded.missed},
        )
    )
