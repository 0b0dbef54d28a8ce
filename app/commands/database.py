"""`crispsync migrate`, and opening the database for the other verbs."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import click
import structlog

import app.tables  # noqa: F401  # all of them: erasing goes through what the metadata knows
from app.contacts.outside import NotKept, make_outside, outside_file
from app.db.base import new_id
from app.db.migrate import upgrade
from app.db.session import Database, open_database
from app.errors import Failed
from app.logs import configure_logs
from app.privacy.reapply import Reapplied, reapply
from app.settings import Settings, get_settings

T = TypeVar("T")


def migrate() -> str:
    done = upgrade(get_settings().database_url)
    return "The database is up to date now." if done else "The database was up to date."


def apply_erasures_again() -> str:
    """What `serve` and `worker` do at start, told."""
    settings = get_settings()
    configure_logs()
    upgrade(settings.database_url)

    async def run() -> Reapplied:
        db = open_database(settings.database_url)
        try:
            return await reapply(db, settings)
        finally:
            await db.close()

    done = run_loop(run)
    if not done.identities and not done.websites:
        return f"Nothing to do: all {done.known:,} erased identities are known to the database."
    return (
        f"Erased again: {done.contacts:,} contacts, {done.conversations:,} conversations, "
        f"{done.websites:,} websites; {done.identities:,} identities stay out from now on."
    )


def with_database(work: Callable[[Database, Settings], Awaitable[T]]) -> T:
    """Migrate if needed, open, erase again what a restored backup brought back, run `work`, close.

    Raises what `work` raises.
    """
    settings = get_settings()
    configure_logs()
    upgrade(settings.database_url)

    async def run() -> T:
        # What it queues is done by somebody else, whose log lines then name this command.
        structlog.contextvars.bind_contextvars(request_id=new_id())
        db = open_database(settings.database_url)
        try:
            await reapply(db, settings)
            return await work(db, settings)
        finally:
            await db.close()

    return run_loop(run)


async def _make_list(_db: Database, settings: Settings) -> None:
    try:
        await asyncio.to_thread(make_outside, outside_file(settings))
    except NotKept as error:  # an erasure would be refused; all else goes on
        click.echo(f"crispsync: {error.message}", err=True)


def prepare() -> None:
    """The database as it must be before anybody is served: migrated, and without erased people.

    Raises Refused, DatabaseTooNew, DatabaseAway, NotKept.
    """
    with_database(_make_list)


def run_loop(work: Callable[[], Awaitable[T]]) -> T:
    """On uvloop where there is one: a third more requests a second (docs/why.md).

    Raises Failed when SIGTERM came; what was at work could hand it back before (FAILURES case 90).
    """
    terminated = False

    async def main() -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            if task is not None:
                task.cancel()

        with contextlib.suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(signal.SIGTERM, terminate)
        try:
            return await work()
        finally:
            # A closed uvloop would go on taking the signal, and do nothing with it.
            with contextlib.suppress(NotImplementedError):
                loop.remove_signal_handler(signal.SIGTERM)

    try:
        return _run(main())
    except asyncio.CancelledError:
        if terminated:
            raise Failed("It was told to stop; what is saved stays.") from None
        raise


def _run(main: Coroutine[Any, Any, T]) -> T:
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    return uvloop.run(main)
