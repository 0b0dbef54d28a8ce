"""Working off runs: claim, execute, again. The same loop in the web process and in a worker."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from dataclasses import dataclass, field

import structlog
from sqlalchemy import select

from app.clock import now_ms
from app.crisp.client import Credential, CrispClient
from app.db.session import Database
from app.errors import CrispsyncError, Refused
from app.logs import as_of_request
from app.settings import Settings
from app.sync.access import client_of, require_credential
from app.sync.execute import execute
from app.sync.leases import Claim, claim, finish
from app.sync.schedule import queue_due_audits, queue_due_runs
from app.sync.tables import sync_runs

log = structlog.get_logger()

AT_ONCE = 4
LOOK_EVERY = 2.0  # seconds without a bell
SCHEDULE_EVERY = 5.0


def owner_name() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


@dataclass(slots=True)
class Worker:
    """Runs of up to AT_ONCE websites at a time, in this process, on one client."""

    db: Database
    settings: Settings
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    busy_websites: frozenset[str] = frozenset()
    _client: CrispClient | None = None
    _credential: Credential | None = None
    _retired: list[CrispClient] = field(default_factory=list)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    async def client(self) -> CrispClient:
        """One with the credential as it is now. Raises Refused when there is none."""
        credential = await require_credential(self.db, self.settings)
        if self._client is None or credential != self._credential:
            if self._client is not None:  # runs under way go on with theirs
                self._retired.append(self._client)
            self._credential = credential
            self._client = client_of(self.db, self.settings, credential, lambda: self.busy_websites)
        return self._client

    @property
    def current_client(self) -> CrispClient | None:
        return self._client

    @property
    def ahead_of_crisp_ms(self) -> int | None:
        """By how much this machine's clock is ahead of Crisp's; None before Crisp told its time."""
        clock = self._client.clock if self._client is not None else None
        return now_ms() - clock.now_ms() if clock is not None and clock.is_known else None

    async def work(self) -> None:
        """Until `stopping` is set; then running work is released for others (FAILURES case 90)."""
        next_schedule = 0.0
        loop = asyncio.get_running_loop()
        try:
            while not self.stopping.is_set():
                try:
                    if loop.time() >= next_schedule:
                        next_schedule = loop.time() + SCHEDULE_EVERY
                        await queue_due_runs(self.db, self.settings.sync_every_minutes)
                        await queue_due_audits(self.db, self.settings)
                    await self.start_waiting_runs()
                except CrispsyncError as error:
                    log.warning("worker.waits", error=type(error).__name__)
                except Exception:  # the loop outlives whatever one look brings
                    log.exception("worker.stumbled")
                await self._wait_for_bell()
        finally:
            await self._stop()

    async def work_off(self) -> None:
        """What waits now, to its end."""
        while await self.start_waiting_runs() or self._running:
            await self._wait_for_bell()

    async def start_waiting_runs(self) -> int:
        started = 0
        while len(self._running) < AT_ONCE:
            held = await claim(self.db, owner_name(), self.settings.lease_seconds)
            if held is None:
                break
            task = asyncio.create_task(self._execute(held))
            self._running.add(task)
            task.add_done_callback(self._ended)
            started += 1
        if started:
            await self._find_busy_websites()
        return started

    async def close(self) -> None:
        await self._stop()
        for client in (*self._retired, *filter(None, [self._client])):
            await client.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self.bell.set()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("sync.crashed", error=type(error).__name__)

    async def _execute(self, held: Claim) -> None:
        with as_of_request(held.request_id):
            await self._execute_logged(held)

    async def _execute_logged(self, held: Claim) -> None:
        log.info("sync.started", run_id=held.run_id, website_id=held.website_id, kind=held.kind)
        try:
            client = await self.client()
        except Refused as error:
            await self._refuse(held, error.message)
            return
        state = await execute(self.db, client, held)
        log.info("sync.ended", run_id=held.run_id, website_id=held.website_id, state=state)

    async def _refuse(self, held: Claim, reason: str) -> None:
        """End what cannot be worked on here; left alone it would be claimed again and again."""
        await self.db.transact(lambda c: finish(c, held, "failed", error=reason))
        log.warning("sync.ended", run_id=held.run_id, website_id=held.website_id, state="failed")

    async def _find_busy_websites(self) -> None:
        async with self.db.read() as connection:
            rows = await connection.execute(
                select(sync_runs.c.website_id).where(sync_runs.c.state == "running")
            )
            self.busy_websites = frozenset(row.website_id for row in rows)

    async def _wait_for_bell(self) -> None:
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

    async def _stop(self) -> None:
        for task in list(self._running):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*self._running, return_exceptions=True)
