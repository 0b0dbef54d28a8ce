"""Who started, paused, resumed or cancelled a sync, and who had events applied again (SPEC P4)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from app import clock
from app.accounts.actors import COMMAND, Actor, Role
from app.accounts.tables import audit_log
from app.db.session import Database
from app.errors import Conflict, Refused
from app.logs import as_of_request
from app.sync.leases import claim
from app.sync.runs import ask, request_run, resume
from tests.beside import fetch, sandbox_beside
from tests.fixtures.program import Program
from tests.pulling import Crispsync, sandbox_and_crispsync

ANN = Actor("user", "u-1", "Ann", Role.ADMIN)


async def noted(db: Database) -> list[tuple[Any, ...]]:
    a = audit_log.c
    query = select(a.action, a.actor_name, a.subject_id, a.before, a.after).order_by(a.at)
    async with db.read() as connection:
        rows = await connection.execute(query.where(a.subject_kind == "sync"))
        return [tuple(row) for row in rows]


async def start(crisp: Crispsync, kind: Any = "full", **more: Any) -> str:
    return await request_run(crisp.db, crisp.website_id, kind, started_by="Ann", actor=ANN, **more)


async def test_each_step_of_a_run_is_told_with_before_and_after(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        run = await start(crisp)
        await ask(crisp.db, crisp.website_id, run, "pause", ANN)
        await resume(crisp.db, crisp.website_id, run, ANN)
        await ask(crisp.db, crisp.website_id, run, "cancel", COMMAND)
        assert await noted(crisp.db) == [
            ("sync.started", "Ann", run, None, {"kind": "full"}),
            ("sync.paused", "Ann", run, {"state": "queued"}, {"state": "paused"}),
            ("sync.resumed", "Ann", run, {"state": "paused"}, {"state": "queued"}),
            (
                "sync.cancelled",
                "command line",
                run,
                {"state": "queued"},
                {"state": "cancelled"},
            ),
        ]


async def test_of_a_run_at_work_what_was_asked_is_told(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        run = await start(crisp)
        assert await claim(crisp.db, "test", 10, run) is not None
        await ask(crisp.db, crisp.website_id, run, "pause", ANN)
        was, now = (await noted(crisp.db))[-1][3:]
        assert (was, now) == ({"state": "running"}, {"asked": "pause"})


async def test_a_window_is_told(database_url: str) -> None:
    window_from, window_to = clock.now() - timedelta(days=9), clock.now() - timedelta(days=2)
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        run = await start(crisp, "backfill", window_from=window_from, window_to=window_to)
        told = {
            "kind": "backfill",
            "from": window_from.isoformat(),
            "to": window_to.isoformat(),
        }
        assert await noted(crisp.db) == [("sync.started", "Ann", run, None, told)]


async def test_accepting_removals_is_told_also_of_a_run_that_waits(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        run = await start(crisp)
        assert await start(crisp, accept_removals=True) == run
        assert await start(crisp, accept_removals=True) == run
        assert [action for action, *_ in await noted(crisp.db)] == [
            "sync.started",
            "sync.removals_accepted",
        ]


async def test_what_changes_nothing_and_what_happens_by_itself_is_not_told(
    database_url: str,
) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        await request_run(crisp.db, crisp.website_id, "incremental", started_by="schedule")
        assert await noted(crisp.db) == []
        run = await start(crisp)
        assert await start(crisp) == run
        with pytest.raises(Conflict):
            await resume(crisp.db, crisp.website_id, run, ANN)
        with pytest.raises(Refused):
            await start(crisp, "backfill")
        await ask(crisp.db, crisp.website_id, run, "cancel", ANN)
        with pytest.raises(Conflict):
            await ask(crisp.db, crisp.website_id, run, "cancel", ANN)
        told = [action for action, *_ in await noted(crisp.db)]
        assert told == ["sync.started", "sync.cancelled"]


async def test_who_resumes_is_whom_the_worker_names(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=3, conversations=3) as crisp:
        with as_of_request("the-first"):
            run = await start(crisp)
            await ask(crisp.db, crisp.website_id, run, "pause", ANN)
        with as_of_request("the-second"):
            await resume(crisp.db, crisp.website_id, run, ANN)
        held = await claim(crisp.db, "test", 10, run)
        assert held is not None
        assert held.request_id == "the-second"


def test_a_command_has_an_id_as_well(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(people=3, conversations=3) as box:
        env = box.connected(sqlite_url)
        assert program.run("sync", "--full", env=env).code == 0
        assert program.run("events", "replay", "--state", "dead", env=env).code == 0
    a = audit_log.c
    query = select(a.action, a.actor_kind, a.request_id).where(a.actor_kind == "command")
    rows = [row for row in fetch(sqlite_url, query) if row.action == "sync.started"]
    assert len(rows) == 1
    assert len(rows[0].request_id) == 36
