"""The inbox on PostgreSQL: a connection of its own, and one statement for a group, which is its transaction.

A pool that others have emptied is no concern of a hook; nor is a row that somebody else holds.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import errors

from app.db.session import POSTGRES_OPTIONS, Database
from app.errors import DatabaseAway
from app.webhooks.group_commit import Counted

# A statement ends before its deliveries have waited too long, a lock long before that. The last
# `-c` of a name counts. What was answered must be on disk, whatever the server's default is.
_OPTIONS = (
    f"{POSTGRES_OPTIONS} -c statement_timeout=1400 -c lock_timeout=200 -c synchronous_commit=on"
)
_CONNECT_SECONDS = 2
# A server that says nothing at all, not even that the time is over.
_SILENT_SECONDS = 3.0
_CAME = """
SELECT * FROM unnest(
    %b::text[], %b::text[], %b::text[], %b::text[], %b::int8[], %b::text[], %b::timestamptz[],
    %b::bytea[], %b::int8[], %b::int8[]
) AS came(id, website_id, event, state, deliveries, error, received_at, body, emitted_ms,
          first_attempt)
"""
_INSERT = f"""
INSERT INTO inbox_events AS known (id, website_id, event, state, deliveries, error, received_at,
                                   body, emitted_ms, first_attempt, attempts)
SELECT came.*, 0 FROM ({_CAME}) AS came
"""  # noqa: S608 - made of the texts above
_COUNT_AGAIN = f"""{_INSERT}
ON CONFLICT (id) DO UPDATE SET deliveries = known.deliveries + excluded.deliveries
"""
# Somebody holds a row that is there already. It is committed, which is all that its sender has to
# know: it stays as it is, and only what is missing is added.
_ADD_MISSING = f"""{_INSERT}
WHERE NOT EXISTS (SELECT FROM inbox_events WHERE inbox_events.id = came.id)
ON CONFLICT (id) DO NOTHING
"""
_LIES_IN_A_ROW = (errors.DataError, errors.IntegrityError, errors.ProgrammingError)


class PostgresInbox:
    """Connects when the first group comes, and anew when the connection was lost."""

    def __init__(self, db: Database) -> None:
        self._addresses, parameters = db.engine.dialect.create_connect_args(db.engine.url)
        self._parameters = {"connect_timeout": _CONNECT_SECONDS, **parameters, "options": _OPTIONS}
        self._connection: psycopg.AsyncConnection[Any] | None = None

    async def store(self, rows: Sequence[Counted]) -> None:
        """Raises DatabaseAway, and psycopg's errors and UnicodeEncodeError for values it refuses."""
        values = _columns(rows)
        try:
            try:
                await self._insert(values, known=self._connection is not None)
            except _Lost:
                await self._insert(values, known=False)
        except _LIES_IN_A_ROW:
            raise
        except psycopg.Error as error:
            await self._forget()
            raise DatabaseAway("The database does not answer.") from error
        except asyncio.CancelledError:
            await self._forget()
            raise

    async def close(self) -> None:
        await self._forget()

    async def _insert(self, values: list[Any], *, known: bool) -> None:
        """Raises _Lost when a connection kept from before broke, as after a restart."""
        connection = self._connection = self._connection or await self._connect()
        silence = asyncio.get_running_loop().call_later(_SILENT_SECONDS, _hang_up, connection)
        try:
            try:
                await connection.execute(_COUNT_AGAIN, values, prepare=True)
            except errors.LockNotAvailable:
                await connection.execute(_ADD_MISSING, values)
        except psycopg.OperationalError as error:
            if not connection.closed or not known:
                raise
            await self._forget()
            raise _Lost from error
        finally:
            silence.cancel()

    async def _connect(self) -> psycopg.AsyncConnection[Any]:
        return await psycopg.AsyncConnection.connect(
            *self._addresses, **self._parameters, autocommit=True
        )

    async def _forget(self) -> None:
        if self._connection is not None:
            with suppress(psycopg.Error):
                await self._connection.close()
            self._connection = None


class _Lost(Exception):
    """The connection was lost since it was last used."""


def _hang_up(connection: psycopg.AsyncConnection[Any]) -> None:
    """Make a silent server's connection end, which ends the statement that waits on it.

    Cancelling would ask the same server, and wait for its answer. The descriptor stays open: the
    event loop still watches it.
    """
    with (
        suppress(psycopg.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as same,
    ):
        same.shutdown(socket.SHUT_RDWR)


def _columns(rows: Sequence[Counted]) -> list[Any]:
    hooks = [row.hook for row in rows]
    return [
        [hook.id for hook in hooks],
        [hook.website_id for hook in hooks],
        [hook.event for hook in hooks],
        [hook.state for hook in hooks],
        [row.deliveries for row in rows],
        [hook.error for hook in hooks],
        [hook.received_at for hook in hooks],
        [hook.body for hook in hooks],
        [hook.emitted_ms for hook in hooks],
        [hook.first_attempt for hook in hooks],
    ]
