"""The loop that applies hooks as they come, in whichever process works."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import structlog

from app.db.session import Database
from app.errors import CrispsyncError
from app.webhooks.apply import apply_waiting
from app.webhooks.parking import look_at_parked

log = structlog.get_logger()

LOOK_EVERY = 0.5  # seconds without a bell
PARKED_EVERY = 5.0


@dataclass(slots=True)
class Applier:
    db: Database
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    async def work(self) -> None:
        """Until `stopping` is set; a batch under way is finished first (FAILURES case 90)."""
        loop = asyncio.get_running_loop()
        next_parked = 0.0
        while not self.stopping.is_set():
            try:
                if loop.time() >= next_parked:
                    next_parked = loop.time() + PARKED_EVERY
                    await look_at_parked(self.db)
                await apply_waiting(self.db, self.stopping.is_set)
            except CrispsyncError as error:
                log.warning("hooks.wait", error=type(error).__name__)
            except Exception:  # the loop outlives whatever one look brings
                log.exception("hooks.stumbled")
            await self._wait_for_bell()

    def stop(self) -> None:
        self.stopping.set()
        self.bell.set()

    async def _wait_for_bell(self) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY):
                await self.bell.wait()
        except TimeoutError:
            pass
        self.bell.clear()
