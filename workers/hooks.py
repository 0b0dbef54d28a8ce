"""What goes on beside the runs in every process that works: applying hooks, asking for what they left out,
comparing with Crisp's list of websites, telling that it works, erasing what is to go, keeping what threads
tell, alerts.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from app.alerts.work import keep_alerting
from app.db.session import Database
from app.insights.keep import keep_facts
from app.privacy.keeping import keep_house
from app.sync.comparing import keep_comparing
from app.sync.processes import keep_beating
from app.sync.refresh import keep_refreshing
from app.sync.worker import Worker
from app.webhooks.worker import Applier


@dataclass(slots=True)
class HookWork:
    """Loops from `start` to `stop`; `applier.bell` wakes the first."""

    db: Database
    worker: Worker
    applier: Applier = field(init=False)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.applier = Applier(self.db)

    def start(self) -> None:
        db, worker, stopping = self.db, self.worker, self.applier.stopping
        self._tasks = [
            asyncio.create_task(self.applier.work()),
            asyncio.create_task(keep_refreshing(db, worker.client, stopping)),
            asyncio.create_task(keep_comparing(db, worker, stopping)),
            asyncio.create_task(keep_beating(db, worker, stopping)),
            asyncio.create_task(keep_house(db, worker.settings, stopping)),
            asyncio.create_task(keep_facts(db, worker.settings.business_hours, stopping)),
            asyncio.create_task(keep_alerting(db, worker.settings, stopping)),
        ]

    async def stop(self) -> None:
        """After the batch and the request under way (FAILURES case 90)."""
        self.applier.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
