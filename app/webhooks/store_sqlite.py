"""The inbox on SQLite: a connection of its own whose commits survive a power cut."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC
from typing import Any

from app.db.session import Database, sqlite_file
from app.errors import DatabaseAway
from app.webhooks.group_commit import Counted

# Shorter than a delivery waits: another process may be writing to the file.
_BUSY_SECONDS = 1.5
_INSERT = """
INSERT INTO inbox_events (id, website_id, event, state, attempts, deliveries, error, received_at,
                          body, emitted_ms, first_attempt)
VALUES (?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET deliveries = deliveries + excluded.deliveries
"""


class SqliteInbox:
    """One thread with one connection: a group is one step in it, not one for each statement."""

    def __init__(self, db: Database) -> None:
        self._file = sqlite_file(db.engine.url)
        self._turn = db.writer
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="inbox")
        self._connection: sqlite3.Connection | None = None

    async def store(self, rows: Sequence[Counted]) -> None:
        """Raises DatabaseAway, and sqlite3's errors and UnicodeEncodeError for values it refuses."""
        async with self._turn:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self._thread, self._store, rows)

    async def close(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._forget)
        self._thread.shutdown()

    def _store(self, rows: Sequence[Counted]) -> None:
        values = [_values(row) for row in rows]
        try:
            connection = self._connection = self._connection or self._open()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, values)
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:  # locked, full, not readable
            self._forget()
            raise DatabaseAway("The database does not answer.") from error
        except Exception:
            if self._connection is not None:
                self._connection.execute("ROLLBACK")
            raise

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            str(self._file), timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # Crisp forgets a hook once it is answered. Other writers use NORMAL: what they wrote last
        # can be pulled again.
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "wal_autocheckpoint=16000"):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _forget(self) -> None:
        """Closing rolls back what was open."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None


def _values(row: Counted) -> tuple[Any, ...]:
    hook = row.hook
    received = hook.received_at.astimezone(UTC).isoformat(" ", "milliseconds")[:23]
    return (
        hook.id,
        hook.website_id,
        hook.event,
        hook.state,
        row.deliveries,
        hook.error,
        received,
        hook.body,
        hook.emitted_ms,
        hook.first_attempt,
    )
