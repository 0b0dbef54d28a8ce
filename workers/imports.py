"""Imports of CSV files, beside the runs, in every process that works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.db.session import Database
from app.imports.worker import ImportWorker
from app.settings import Settings


@dataclass(slots=True)
class ImportWork:
    """One loop from `start` to `stop`; `worker.bell` wakes it."""

    db: Database
    settings: Settings
    worker: ImportWorker = field(init=False)
    _task: asyncio.Task[None] | None = None

    def __post_init__(self) -> None:
        folder, seconds = self.settings.uploads_folder, self.settings.lease_seconds
        self.worker = ImportWorker(self.db, folder, seconds)

    def start(self) -> None:
        self._task = asyncio.create_task(self.worker.work())

    async def stop(self) -> None:
        """After the chunk under way; another process goes on with the rest (FAILURES case 90)."""
        self.worker.stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
