"""Asking for messages, with a bound on what is asked for and not yet written."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from app.crisp.client import Answer, CrispClient
from app.sync.pull import Pull

UNWRITTEN = 50
"""Answers that are asked for and not yet written: no more has to be asked for again after a kill."""
UNSENT = UNWRITTEN // 2
"""Of them those for whose sake PostgreSQL may still be asked: as many again may be on their way to its disk."""


@dataclass(slots=True)
class Reader:
    """One of those that ask at the same time. Each answer takes room until it is written, or
    until only the writing is left of it, where that is another process's work.

    Who holds some waits for no more, or all could wait for each other: where there is none it gives away
    what it has. Only what is of no use without a second answer takes that all the same: a batch whose
    messages share one millisecond, and a thread that is read up to what is known.
    """

    pull: Pull
    room: asyncio.Semaphore
    held: int = 0
    has_room: bool = False

    @property
    def client(self) -> CrispClient:
        return self.pull.client

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        if not self.has_room and (not self.held or not self.room.locked()):
            await self._take_room()
        self.has_room = False
        return await self.pull.get(path, params)

    async def _take_room(self) -> None:
        await self.room.acquire()
        self.held += 1

    async def must_hand_over(self) -> bool:
        """Takes room for the next answer, or tells that there is none."""
        if self.room.locked():
            return True
        await self._take_room()
        self.has_room = True
        return False

    def hand_over(self) -> int:
        held, self.held, self.has_room = self.held, 0, False
        return held
