"""A loop that outlives whatever one look brings, and ends when it is told to."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from app.errors import DatabaseAway
from app.looking import look_again


async def test_it_looks_on_after_trouble_and_ends_at_once() -> None:
    stopping = asyncio.Event()
    looks = [DatabaseAway("The database does not answer."), ZeroDivisionError(), None]

    async def look() -> None:
        error = looks.pop(0)
        if not looks:
            stopping.set()
        if error is not None:
            raise error

    with capture_logs() as logs:
        await asyncio.wait_for(look_again(look, "house", 0.0, stopping), 5)
    assert [one["event"] for one in logs] == ["house.waits", "house.stumbled"]
    assert logs[0]["error"] == "DatabaseAway"


async def test_it_does_not_wait_for_the_next_look_when_it_is_told_to_end() -> None:
    stopping = asyncio.Event()
    looked = asyncio.Event()

    async def look() -> None:
        looked.set()

    task = asyncio.create_task(look_again(look, "house", 3600.0, stopping))
    await looked.wait()
    stopping.set()
    await asyncio.wait_for(task, 5)


async def test_who_cancels_it_is_heard() -> None:
    async def look() -> None:
        await asyncio.Event().wait()

    task = asyncio.create_task(look_again(look, "house", 1.0, asyncio.Event()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
