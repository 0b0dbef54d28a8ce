"""One budget for each credential, kept in the database and shared by all processes (SPEC S6).

Requests are taken from it in small grants, so that counting costs no transaction each. What a
process holds when it is killed counts as used: the error is on the safe side.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.crisp import quota
from app.crisp.errors import QUOTA_USED_UP
from app.db.session import Database
from app.errors import Paused

Purpose = Literal["interactive", "hooks", "sync"]

GRANTS_A_DAY = 200
"""A process takes what it will use in parts of the day, small enough to lose one when it is killed."""
LEAST_GRANT = 25
LOOK_EVERY = 1.0  # seconds between looks at what other processes found out
PATIENCE = 120.0  # seconds that a caller waits in place; longer pauses park the run
PATIENCE_OF_A_PERSON = 5.0  # seconds, where somebody waits for the answer
RATE_PAUSE = (1.0, 60.0)  # seconds: first, longest; crisp/REFERENCE.md section 5
QUOTA_PAUSE = (60.0, 900.0)


class QuotaPause(Paused):
    """Nobody who uses this credential may ask before `until`."""

    def __init__(self, message: str, until: datetime) -> None:
        super().__init__(message)
        self.until = until


def credential_key(identifier: str) -> str:
    """Under what the budget of a credential is kept; the identifier itself is not stored."""
    return hashlib.sha256(identifier.encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Pause:
    until_ms: int = 0
    reason: str = ""
    in_a_row: int = 0


class Budget:
    """`sharers` tells which websites have a sync running, so that each gets its part of the day."""

    def __init__(
        self,
        db: Database,
        identifier: str,
        limit: int,
        sharers: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self.credential = credential_key(identifier)
        self.limit = limit
        self._grant_size = max(LEAST_GRANT, limit // GRANTS_A_DAY)
        self.sharers = sharers
        self.spent: dict[str, int] = defaultdict(int)
        """Requests sent by this process, by website; never falls."""
        self._db = db
        self._held: dict[tuple[str, Purpose], int] = defaultdict(int)
        self._held_day = ""
        self._granting = asyncio.Lock()
        self._probing = asyncio.Lock()
        self._pause = _Pause()
        self._looked = float("-inf")

    @asynccontextmanager
    async def turn(self, website_id: str, purpose: Purpose) -> AsyncIterator[None]:
        """Wait until one request may be sent. Raises QuotaPause when that takes too long.

        After a pause one request goes ahead alone, and the others follow when it went well.
        """
        await self._wait_out_pause(purpose)
        if not self._pause.in_a_row:
            await self._take(website_id, purpose)
            yield
            return
        async with self._probing:
            await self._wait_out_pause(purpose)
            await self._take(website_id, purpose)
            yield

    async def pause(self, retry_after: float | None, quota_used_up: bool, reason: str) -> None:
        """Stop everybody who uses this credential (FAILURES cases 35, 36)."""
        first, longest = QUOTA_PAUSE if quota_used_up else RATE_PAUSE
        now_ms = clock.now_ms()
        earlier = self._pause.in_a_row - (self._pause.until_ms > now_ms)
        ceiling = min(first * 2 ** min(earlier, 16), longest)
        # Full jitter keeps processes apart; a used-up quota is worth no second look before the first step.
        seconds = ceiling if quota_used_up else random.uniform(first / 2, ceiling)  # noqa: S311  # no secret
        if retry_after is not None:  # 0 would mean to ask without end
            seconds = min(max(retry_after, RATE_PAUSE[0] / 2), 86_400.0)
        until_ms = max(now_ms + round(seconds * 1000), self._pause.until_ms)
        self._pause = _Pause(until_ms, reason, earlier + 1)  # at once: storing it takes a while
        storing = asyncio.create_task(
            self._db.transact(
                lambda c: quota.store_pause(c, self.credential, until_ms, reason, now_ms)
            )
        )
        try:
            self._pause = _Pause(*await asyncio.shield(storing))
        finally:
            # The pause just set may end this run and cancel us; the other processes must know all the same.
            await asyncio.wait({storing})

    async def went_well(self) -> None:
        """The answer to a probe lifts the pause; one to a request sent before it says nothing."""
        now_ms = clock.now_ms()
        if self._pause.in_a_row and self._pause.until_ms <= now_ms:
            self._pause = _Pause()
            await self._db.transact(lambda c: quota.clear_pause(c, self.credential, now_ms))

    async def give_back(self) -> None:
        """Return what was granted and not used."""
        held = {key: count for key, count in self._held.items() if count > 0}
        self._held.clear()
        if not held:
            return

        async def work(connection: AsyncConnection) -> None:
            for (website_id, purpose), count in held.items():
                await quota.take_back(
                    connection,
                    quota.Ask(self.credential, self._held_day, website_id, purpose, count),
                )

        await self._db.transact(work)

    async def _wait_out_pause(self, purpose: Purpose) -> None:
        await self._look()
        while (left := self._pause.until_ms - clock.now_ms()) > 0:
            if left > self._patience(purpose) * 1000:
                until = datetime.fromtimestamp(self._pause.until_ms / 1000, UTC)
                raise QuotaPause(self._pause.reason or "Crisp asks to wait.", until)
            await asyncio.sleep(min(left / 1000, LOOK_EVERY))
            await self._look()

    def _patience(self, purpose: Purpose) -> float:
        """A quota comes back tomorrow, more likely than in a minute: nobody waits for it in place."""
        if purpose == "interactive" or self._pause.reason.startswith(QUOTA_USED_UP):
            return PATIENCE_OF_A_PERSON
        return PATIENCE

    async def _look(self) -> None:
        if time.monotonic() - self._looked < LOOK_EVERY:
            return
        self._looked = time.monotonic()
        async with self._db.read() as connection:
            found = await quota.find_pause(connection, self.credential)
        self._pause = _Pause(*found) if found else _Pause()

    async def _take(self, website_id: str, purpose: Purpose) -> None:
        key = (website_id, purpose)
        day = clock.now().strftime("%Y-%m-%d")
        if day != self._held_day:  # grants of yesterday are worth nothing today
            self._held.clear()
            self._held_day = day
        if self._held[key] <= 0:
            async with self._granting:
                if self._held[key] <= 0:
                    self._held[key] += await self._grant(website_id, purpose, day)
        self._held[key] -= 1
        self.spent[website_id] += 1

    async def _grant(self, website_id: str, purpose: Purpose, day: str) -> int:
        sharers = self.sharers() | {website_id}
        granted = await self._db.transact(
            lambda connection: quota.grant(
                connection,
                quota.Ask(self.credential, day, website_id, purpose, self._grant_size),
                self.limit,
                sharers,
            )
        )
        if granted == 0:
            midnight = (clock.now() + timedelta(days=1)).replace(
                hour=0, minute=0, second=0, microsecond=0
            )
            raise QuotaPause(
                f"Today's share of the {self.limit} requests that Crisp allows is used up; "
                "it goes on after 00:00 UTC.",
                midnight,
            )
        return granted
