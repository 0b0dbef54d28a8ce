"""All that goes on in a process that works, whether Redis rings for it or nobody does."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.db.session import Database
from app.settings import Settings
from app.sync.worker import Worker
from workers.feed import FeedWork
from workers.hooks import HookWork
from workers.imports import ImportWork


@dataclass(slots=True)
class Works:
    """From `start` to `stop`. Each looks by itself into the database; `worker.bell` only makes it sooner."""

    db: Database
    settings: Settings
    worker: Worker = field(init=False)
    hooks: HookWork = field(init=False)
    imports: ImportWork = field(init=False)
    _feed: FeedWork = field(init=False)
    _runs: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        self.worker = Worker(self.db, self.settings)
        self.hooks = HookWork(self.db, self.worker)
        self.imports = ImportWork(self.db, self.settings)
        self._feed = FeedWork(self.db, self.settings)

    def start(self) -> None:
        self.hooks.start()
        self.imports.start()
        self._feed.start()
        self._runs = asyncio.create_task(self.worker.work())

    async def stop(self) -> None:
        """After the batch and the page in hand; what is left goes to others (FAILURES case 90)."""
        self.worker.stopping.set()
        await self._feed.stop()
        await self.imports.stop()
        await self.hooks.stop()
        if self._runs is not None:
            await self._runs
        await self.worker.close()
