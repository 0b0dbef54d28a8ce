"""What a hook tells of the plugin being installed on a website or taken off it (SPEC C4)."""

from __future__ import annotations

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.upsert import insert_for
from app.websites.connect import mark_uninstalled
from app.websites.rules import lock_website
from app.websites.tables import websites


async def note_installation(
    connection: AsyncConnection, website_id: str, told_ms: int, installed: bool
) -> None:
    """Newer news only: Crisp promises no order. A new website waits until somebody imports it.

    Installed again, it goes on with its data and settings, under a new generation; one that a
    person disconnected or paused stays so.
    """
    await lock_website(connection, website_id)
    if installed:
        await _make_known(connection, website_id)
    newer = await connection.execute(
        update(websites)
        .where(websites.c.id == website_id, websites.c.installation_told_ms < told_ms)
        .values(installation_told_ms=told_ms)
        .returning(websites.c.status, websites.c.activated_at)
    )
    row = newer.one_or_none()
    if row is None:
        return
    if not installed:
        if row.status != "disconnected":
            await mark_uninstalled(connection, website_id)
    elif row.status == "uninstalled":
        status = "connected" if row.activated_at is not None else "waiting"
        await connection.execute(
            update(websites)
            .where(websites.c.id == website_id)
            .values(status=status, generation=websites.c.generation + 1, attention=None)
        )


async def _make_known(connection: AsyncConnection, website_id: str) -> None:
    insert = insert_for(connection, websites).values(
        id=website_id,
        name=website_id,
        status="waiting",
        connected_at=clock.now(),
        generation=1,
        import_people=True,
        import_conversations=True,
        import_notes=True,
        import_custom_data=False,
        mapping={},
        time_zone="UTC",
    )
    await connection.execute(insert.on_conflict_do_nothing(index_elements=["id"]))
