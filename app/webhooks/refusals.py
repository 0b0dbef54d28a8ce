"""What was refused is counted in memory and written every few seconds: a stranger cannot make us write."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.db.session import Database
from app.db.upsert import insert_for
from app.errors import DatabaseAway
from app.webhooks.tables import hook_refusals

Cause = Literal[
    "no_secret",
    "signature_missing",
    "signature_malformed",
    "signature_wrong",
    "too_large",
    "too_slow",
    "encoded",
    "content_type",
]
FLUSH_SECONDS = 5.0

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Refused:
    count: int
    last_at: datetime


class Refusals:
    """Counts by cause. `flush` adds them to `hook_refusals`; what cannot be written is kept for later."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._counts: dict[Cause, _Refused] = {}

    def count(self, cause: Cause) -> None:
        known = self._counts.get(cause)
        self._counts[cause] = _Refused(known.count + 1 if known else 1, clock.now())

    async def flush(self) -> None:
        """Raises DatabaseAway and SQLAlchemyError; nothing is forgotten then."""
        counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            await self._db.transact(partial(_add, counts=counts), tries=1)
        except BaseException:
            self._take_back(counts)
            raise

    def _take_back(self, counts: Mapping[Cause, _Refused]) -> None:
        for cause, old in counts.items():
            since = self._counts.get(cause)
            self._counts[cause] = _Refused(old.count + since.count, since.last_at) if since else old

    async def flush_often(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set, and once more then."""
        stopped = False
        while not stopped:
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await stopping.wait()
            stopped = stopping.is_set()
            try:
                await self.flush()
            except (DatabaseAway, SQLAlchemyError) as error:
                log.warning("refusals.not_counted", error=type(error).__name__)


async def _add(connection: AsyncConnection, counts: Mapping[Cause, _Refused]) -> None:
    insert = insert_for(connection, hook_refusals)
    statement = insert.on_conflict_do_update(
        index_elements=["cause"],
        set_={
            "refused": hook_refusals.c.refused + insert.excluded.refused,
            "last_at": insert.excluded.last_at,
        },
    )
    rows = [
        {"cause": cause, "refused": refused.count, "last_at": refused.last_at}
        for cause, refused in sorted(counts.items())
    ]
    await connection.execute(statement, rows)
