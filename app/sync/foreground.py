"""Waiting for a run on a terminal: working on it here, or watching who does (CONTRACT, `--wait`)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from app.db.session import Database
from app.settings import Settings
from app.sync.access import open_client
from app.sync.execute import execute
from app.sync.leases import claim
from app.sync.runs import require_run
from app.sync.worker import owner_name

LOOK_EVERY = 0.3  # seconds
ENDED = frozenset({"done", "partial", "failed", "cancelled", "paused"})
EXIT_CODES = {"done": 0, "partial": 3, "failed": 1, "cancelled": 2, "paused": 4}

Show = Callable[[Any], None]


async def wait_for_run(
    db: Database, settings: Settings, website_id: str, run_id: str, show: Show, *, may_work: bool
) -> Any:
    """The run's row once it has ended or is parked. Works on it here when nobody else does and
    `may_work`. Raises Refused when there is no credential to work with.
    """
    client = await open_client(db, settings) if may_work else None
    try:
        while True:
            held = await claim(db, owner_name(), settings.lease_seconds, run_id) if client else None
            if client is None or held is None:
                row = await _look(db, website_id, run_id, show)
                if row.state in ENDED:
                    return row
                await asyncio.sleep(LOOK_EVERY)
                continue
            work = asyncio.create_task(execute(db, client, held))
            try:
                while not work.done():
                    await asyncio.wait({work}, timeout=LOOK_EVERY)
                    show(held)
            finally:
                if not work.done():
                    work.cancel()
                await work
    finally:
        if client is not None:
            await client.close()


async def _look(db: Database, website_id: str, run_id: str, show: Show) -> Any:
    async with db.read() as connection:
        row = await require_run(connection, website_id, run_id)
    show(row)
    return row
