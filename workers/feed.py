"""Forgetting changes that are older than the feed keeps, once an hour in every process that works."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from datetime import timedelta

import structlog

from app import clock
from app.db.feed import drop_changes
from app.db.session import Database
from app.errors import CrispsyncError
from app.settings import Settings

log = structlog.get_logger()

EVERY = 3600.0


@dataclass(slots=True)
class FeedWork:
    db: Database
    settings: Settings
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    async def stop(self) -> None:
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                await self.forget()
            except CrispsyncError as error:
                log.warning("feed.waits", error=type(error).__name__)
            except Exception:  # the loop outlives whatever one look brings
                log.exception("feed.stumbled")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), EVERY)

    async def forget(self) -> int:
        """How many rows of the feed went."""
        before = clock.now() - timedelta(days=self.settings.changes_days)
        return await self.db.transact(lambda connection: drop_changes(connection, before))
