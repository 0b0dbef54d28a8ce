"""Hooks that arrive together share a commit; each is answered after the commit that holds its row.

A transaction costs much more than a row in it. While one group is being committed the next gathers,
so the more arrive at once, the less each costs, and a lonely hook waits for nobody.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import structlog

from app.errors import DatabaseAway
from app.webhooks.hooks import Hook

# Crisp is told within 2 s that it has to come again (FAILURES case 21).
WAIT_SECONDS = 1.7
MOST_WAITING = 2_000
MOST_WAITING_BYTES = 32 * 1024 * 1024
MOST_IN_GROUP = 500
MOST_BYTES_IN_GROUP = 4 * 1024 * 1024

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Counted:
    """A hook, and how many deliveries of it a group holds."""

    hook: Hook
    deliveries: int = 1


class Inbox(Protocol):
    """Where the rows go: `store_sqlite.py` and `store_postgres.py`."""

    async def store(self, rows: Sequence[Counted]) -> None:
        """Commit all rows, each id once, or none of them.

        Raises DatabaseAway when no row is to blame; any other error lies in one of the rows.
        """

    async def close(self) -> None: ...


@dataclass(slots=True)
class _Waiting:
    hook: Hook
    kept: asyncio.Future[None]


class GroupCommit:
    """One writer for all deliveries of this process. `ring` is called after each commit and must not block."""

    def __init__(self, inbox: Inbox, ring: Callable[[], None]) -> None:
        self._inbox = inbox
        self._ring = ring
        self._queue: deque[_Waiting] = deque()
        self._queued_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        self._closed = False

    async def keep(self, hook: Hook) -> None:
        """Return once the hook's row is committed. Raises DatabaseAway when that is not so in time."""
        if self._closed or self._is_full(hook):
            raise DatabaseAway("Too many hooks wait for the database.")
        waiting = _Waiting(hook, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._queued_bytes += len(hook.body)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write_all())
        try:
            async with asyncio.timeout(WAIT_SECONDS):
                await waiting.kept
        except TimeoutError:
            raise DatabaseAway("The database does not answer in time.") from None

    def _is_full(self, hook: Hook) -> bool:
        bytes_then = self._queued_bytes + len(hook.body)
        return len(self._queue) >= MOST_WAITING or bytes_then > MOST_WAITING_BYTES

    async def _write_all(self) -> None:
        while self._queue:
            group = self._take()
            if not group:
                continue
            try:
                await self._commit(group)
            except BaseException as error:
                # Cancelled, say: nobody knows what was committed, so all have to come again.
                for waiting in (*group, *self._queue):
                    _refuse(waiting, error)
                raise

    def _take(self) -> list[_Waiting]:
        """The oldest that still wait; who was told to come again is left out."""
        group: list[_Waiting] = []
        size = 0
        while self._queue and len(group) < MOST_IN_GROUP and size < MOST_BYTES_IN_GROUP:
            waiting = self._queue.popleft()
            self._queued_bytes -= len(waiting.hook.body)
            if not waiting.kept.done():
                group.append(waiting)
                size += len(waiting.hook.body)
        return group

    async def _commit(self, group: list[_Waiting]) -> None:
        try:
            await self._inbox.store(_folded(group))
        except DatabaseAway as error:
            log.warning("hooks.not_stored", count=len(group), error=type(error.__cause__).__name__)
            for waiting in group:
                _refuse(waiting, error)
        except Exception as error:  # whatever it is, it lies in a row, and the others are innocent
            await self._commit_apart(group, error)
        else:
            self._answer(group)

    async def _commit_apart(self, group: list[_Waiting], error: Exception) -> None:
        together = _by_id(group)
        if len(together) == 1:
            log.error("hook.not_stored", error=type(error).__name__, count=len(group))
            for waiting in group:
                _refuse(waiting, error)
            return
        for same in together.values():
            await self._commit(same)

    def _answer(self, group: list[_Waiting]) -> None:
        try:
            self._ring()
        except Exception as error:  # the rows are committed; the bell is only a hint (case 22)
            log.warning("bell.unheard", error=type(error).__name__)
        for waiting in group:
            if not waiting.kept.done():
                waiting.kept.set_result(None)

    async def close(self) -> None:
        """Take no more, commit what was taken, let go of the database."""
        if self._closed:
            return
        self._closed = True
        if self._writing is not None:
            with suppress(Exception, asyncio.CancelledError):
                await asyncio.shield(self._writing)
        await self._inbox.close()


def _by_id(group: list[_Waiting]) -> dict[str, list[_Waiting]]:
    together: dict[str, list[_Waiting]] = {}
    for waiting in group:
        together.setdefault(waiting.hook.id, []).append(waiting)
    return together


def _folded(group: list[_Waiting]) -> list[Counted]:
    """Each id once, in their order, so that two processes never wait for each other in a circle."""
    counted: dict[str, Counted] = {}
    for waiting in group:
        known = counted.get(waiting.hook.id)
        if known is None:
            counted[waiting.hook.id] = Counted(waiting.hook)
        else:
            known.deliveries += 1
    return [counted[key] for key in sorted(counted)]


def _refuse(waiting: _Waiting, error: BaseException) -> None:
    if not waiting.kept.done():
        refusal = DatabaseAway("The hook could not be stored.")
        refusal.__cause__ = error
        waiting.kept.set_exception(refusal)
