"""Working off imports: claim, plan or commit or undo, again. The same in every process that works."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from app.db.leases import LeaseLost
from app.db.session import Database
from app.errors import CrispsyncError, DatabaseAway
from app.imports.commit import commit
from app.imports.plan import make_plan
from app.imports.undo import undo
from app.imports.work import Work, claim_import, fail, heartbeat, release
from app.logs import as_of_request

log = structlog.get_logger()

LOOK_EVERY = 1.0  # seconds without a bell
_STEPS = {"planning": make_plan, "committing": commit, "undoing": undo}


@dataclass(slots=True)
class ImportWorker:
    """One import at a time, in this process."""

    db: Database
    folder: Path
    lease_seconds: float
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    quiet: bool = False
    """A command tells what it did itself."""

    async def work(self) -> None:
        """Until `stopping` is set; then what is at work is released for others (FAILURES case 90)."""
        while not self.stopping.is_set():
            worked = False
            try:
                worked = await self.work_once()
            except CrispsyncError as error:
                log.warning("imports.wait", error=type(error).__name__)
            except Exception:  # the loop outlives whatever one look brings
                log.exception("imports.stumbled")
            if not worked:
                await self._wait()

    async def work_once(self, import_id: str | None = None) -> bool:
        """The oldest import that waits, or this one, to the end of its step; False when there is none."""
        owner = f"{socket.gethostname()}:{os.getpid()}"
        held = await claim_import(self.db, self.folder, owner, self.lease_seconds, import_id)
        if held is None:
            return False
        with as_of_request(held.row.request_id):
            await self._take_step(held)
        return True

    async def _take_step(self, held: Work) -> None:
        self._log("import.started", held)
        step = asyncio.create_task(execute(held))
        stop = asyncio.create_task(self.stopping.wait())
        try:
            await asyncio.wait({step, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not step.done():
                step.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await step
        self._log("import.ended", held)

    def _log(self, event: str, held: Work) -> None:
        if not self.quiet:
            log.info(event, run_id=held.row_id, website_id=held.website_id, state=held.row.state)

    async def _wait(self) -> None:
        waits = {
            asyncio.create_task(self.bell.wait()),
            asyncio.create_task(self.stopping.wait()),
        }
        try:
            await asyncio.wait(waits, timeout=LOOK_EVERY, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        self.bell.clear()


async def execute(held: Work) -> None:
    """One step of it, from where it stopped; whatever ends it is written into its row."""
    try:
        async with heartbeat(held):
            await _STEPS[held.row.state](held)
    except LeaseLost:
        return
    except (DatabaseAway, asyncio.CancelledError):
        with contextlib.suppress(CrispsyncError):
            await release(held)
        raise
    except CrispsyncError as error:
        await fail(held, error.message)
    except Exception:
        log.exception("import.crashed", run_id=held.row_id)
        await fail(held, "A fault in crispsync stopped it; the log of the server has the details.")
