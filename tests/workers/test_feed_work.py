"""What the change feed keeps has an end (CHANGES_DAYS)."""

from datetime import timedelta

from sqlalchemy import func, select, update

from app import clock
from app.db.changes import change_batches
from app.settings import Settings
from tests.ingesting import connected, person
from workers.feed import FeedWork


async def test_old_changes_are_dropped_and_newer_ones_kept(database_url: str) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann"))
        await site.take(person("bob"))
        oldest = (await site.rows(select(func.min(change_batches.c.number))))[0][0]
        old = clock.now() - timedelta(days=31)
        await site.execute(
            update(change_batches).where(change_batches.c.number == oldest).values(changed_at=old)
        )
        work = FeedWork(site.db, Settings())
        assert await work.forget() == 1
        assert await work.forget() == 0
        work.start()
        await work.stop()
        assert await site.rows(select(change_batches.c.number).where(change_batches.c.number > 0))
