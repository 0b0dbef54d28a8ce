"""Forgetting changes that are older than the feed keeps, once an hour in every process that works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta

from app import clock
from app.db.feed import drop_changes
from app.db.session import Database
from app.looking import look_again
from app.settings import Settings

EVERY = 3600.0


@dataclass(slots=True)
class FeedWork:
    db: Database
    settings: Settings
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(look_again(self.forget, "feed", EVERY, self._stopping))

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def forget(self) -> int:
        """How many rows of the feed went."""
        before = clock.now() - timedelta(days=self.settings.changes_days)
        return await self.db.transact(lambda connection: drop_changes(connection, before))
