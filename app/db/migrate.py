"""Bringing the schema to this program's revision, safely when several processes start at once.

Alembic takes a second to import, so the usual case, a schema that is up to date, is found without it.
"""

from __future__ import annotations

import fcntl
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import click
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import NullPool

from app.db.session import make_folder, normal_url, sqlite_file
from app.db.typical import write_typical_statistics
from app.errors import Conflict, DatabaseAway, DatabaseTooNew, Refused

HEAD = "0034"
"""The newest revision in alembic/versions; a test compares the two."""

TRIES = 10
"""How often a migration asks for tables that somebody reads; more than a minute in all."""
SQLITE_WAIT = 60.0
"""Seconds that a migration waits for whoever writes into the file; on SQLite one at a time does."""
MIGRATES = "migrates"
"""In `info` of a connection: it is going to write, and asks for the right to before it reads."""
_PAUSE = 2.0  # seconds, and so much more after each try
_LOCK_NOT_AVAILABLE = "55P03"
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT})

_ROOT = Path(__file__).resolve().parents[2]


def upgrade(raw_url: str) -> bool:
    """Migrate if needed; True when something was done.

    A table that a long query holds is waited for three seconds, since everybody else who needs it waits behind
    the migration; then traffic goes on, and it is tried again (FAILURES case 88).
    Raises DatabaseTooNew when the schema is from a later version, DatabaseAway when it does not answer,
    Conflict when a table, or SQLite's file, was never free.
    """
    for number in range(1, TRIES + 1):
        try:
            return _upgrade_once(raw_url)
        except OperationalError as error:
            if getattr(error.orig, "sqlite_errorcode", None) in _BUSY:
                raise Conflict(
                    "Somebody has been writing into the database file for a minute: nothing was "
                    "changed. End that process, or wait for it, and start again."
                ) from None
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE:
                raise
        if number < TRIES:
            click.echo(
                "crispsync: A table is in use that the migration changes; it tries again "
                f"in {number * _PAUSE:.0f} s, and nothing is changed until then.",
                err=True,
            )
            time.sleep(number * _PAUSE)
    raise Conflict(
        "A long query holds a table that the migration changes (pg_stat_activity tells which): "
        "nothing was changed. End it, or wait for it, and start again."
    )


def _upgrade_once(raw_url: str) -> bool:
    url = normal_url(raw_url)
    with _one_at_a_time(url), open_for_migration(raw_url) as connection:
        found = _revision(connection)
        if found == HEAD:
            return False
        _run_alembic(connection, found)
        if connection.dialect.name == "sqlite":
            with connection.begin():
                write_typical_statistics(connection)
    return True


def _run_alembic(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    config = Config(str(_ROOT / "alembic.ini"))
    config.attributes["connection"] = connection
    if found is not None:
        try:
            ScriptDirectory.from_config(config).get_revision(found)
        except CommandError:
            raise DatabaseTooNew(
                f"The database is at revision {found}, which this version of crispsync does not "
                "know: it was written by a newer one. Install that version; nothing was changed."
            ) from None
    command.upgrade(config, "head")


def _revision(connection: Connection) -> str | None:
    # End the transaction that inspecting opens: Alembic wants to begin its own.
    with connection.begin():
        if not inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(
            text("SELECT version_num FROM alembic_version")
        ).scalar()
        return found


@contextmanager
def open_for_migration(raw_url: str) -> Iterator[Connection]:
    """A plain synchronous connection. Raises DatabaseAway."""
    url = normal_url(raw_url)
    file = sqlite_file(url)
    if file is None:
        engine = create_engine(url, poolclass=NullPool, hide_parameters=True)
    else:
        make_folder(file)
        engine = create_engine(
            url.set(drivername="sqlite+pysqlite"), poolclass=NullPool,
            connect_args={"timeout": SQLITE_WAIT},
        )  # fmt: skip
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    try:
        with engine.connect() as connection:
            yield connection
    except OperationalError as error:
        if error.connection_invalidated or error.statement is None:
            raise DatabaseAway("The database does not answer.") from None
        raise
    except DatabaseError as error:
        if "not a database" in str(error.orig):
            raise Refused("DATABASE_URL names a file that is no SQLite database.") from None
        raise
    finally:
        engine.dispose()


def _prepare_sqlite(connection: object, _record: object) -> None:
    # Left alone, the driver commits before DDL: a migration that fails half-way would stay half done.
    connection.isolation_level = None  # type: ignore[attr-defined]  # the driver's own attribute


def _begin_sqlite(connection: Connection) -> None:
    """Whoever reads first and then writes is refused at once when somebody else has written meanwhile."""
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.info.get(MIGRATES) else "BEGIN")


@contextmanager
def _file_lock(path: Path) -> Iterator[None]:
    make_folder(path)
    with path.open("a") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _one_at_a_time(url: URL) -> contextmanager[None] | nullcontext[None]:  # type: ignore[valid-type]
    file = sqlite_file(url)
    return nullcontext() if file is None else _file_lock(file.with_name(file.name + ".migrating"))
