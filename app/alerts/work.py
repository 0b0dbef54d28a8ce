"""What goes on by itself in every process, web ones too: who else could tell that no worker works?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog

from app.alerts.deliver import send_due
from app.alerts.watch import look
from app.db.session import Database
from app.db.turns import take_turn
from app.errors import CrispsyncError
from app.settings import Settings

log = structlog.get_logger(__name__)

SEND_EVERY = 5.0
LOOK_EVERY = 60.0
"""Of several processes one looks."""


async def keep_alerting(db: Database, settings: Settings, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        # A worker that has just started is given the time to tell that it works.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SEND_EVERY):
                await stopping.wait()
        if stopping.is_set():
            return
        try:
            if await take_turn(db, "alerts", LOOK_EVERY):
                await look(db, settings)
            await send_due(db, settings)
        except CrispsyncError as error:
            log.warning("alerts.wait", error=type(error).__name__)
        except Exception:  # the loop outlives whatever one look brings
            log.exception("alerts.stumbled")


@asynccontextmanager
async def alerting(db: Database, settings: Settings) -> AsyncIterator[None]:
    """As long as the block lasts."""
    stopping = asyncio.Event()
    task = asyncio.create_task(keep_alerting(db, settings, stopping))
    try:
        yield
    finally:
        stopping.set()
        await task
