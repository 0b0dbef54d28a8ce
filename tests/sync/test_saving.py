"""Saving: what waits for its turn is written together, and what is unwritten stays small."""

from __future__ import annotations

import asyncio
from typing import Any
from unittest.mock import patch

import pytest
from sqlalchemy import event, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.records import Batch
from app.sandbox.message_changes import send_message
from app.sync import pull as pull_module
from app.sync import threads
from app.sync.leases import LeaseLost
from app.sync.pull import Pull, Save
from app.sync.readers import UNWRITTEN
from tests.flows.steps import MESSAGES, pull_of
from tests.ingesting import person, said, talk
from tests.pulling import Crispsync, sandbox_and_crispsync


async def _saving(crisp: Crispsync, pull: Pull, *held_up: Any) -> tuple[asyncio.Event, list[Any]]:
    """A save that holds its transaction open until the event is set, and saves that wait behind it."""
    go_on, inside = asyncio.Event(), asyncio.Event()

    async def hold(connection: AsyncConnection) -> None:
        inside.set()
        await go_on.wait()

    first = asyncio.create_task(pull.save(Batch(pull.website_id), hold))
    await inside.wait()
    tasks = [asyncio.create_task(one) for one in held_up]
    await asyncio.sleep(0)
    return go_on, [first, *tasks]


async def test_what_waits_is_written_in_one_transaction(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))
        people = Batch(pull.website_id, contacts=[person("p", email="p@acme.example")])
        talks = Batch(pull.website_id, conversations=[talk("s", meta={"email": "p@acme.example"})])
        transactions = 0
        transact = type(pull.db).transact

        async def counted(*args: Any, **values: Any) -> Any:
            nonlocal transactions
            transactions += 1
            return await transact(*args, **values)

        with patch.object(type(pull.db), "transact", counted):
            go_on, tasks = await _saving(
                crisp,
                pull,
                pull.save(people, checkpoint={"people": 1}, counts={"people_done": 1}),
                pull.save(talks, checkpoint={"conversations": 2}, counts={"conversations_done": 1}),
            )
            go_on.set()
            _, *outcomes = await asyncio.gather(*tasks)
        assert transactions == 2
        assert [(one.contacts, one.conversations) for one in outcomes] == [(1, 1)] * 2
        (row,) = await crisp.rows(select(conversations))
        assert row.match_rule == "email", "linked with the person of the same transaction"
        run = await crisp.last_run()
        assert (run.checkpoint["people"], run.checkpoint["conversations"]) == (1, 2)
        assert (run.counts["people_done"], run.counts["conversations_done"]) == (1, 1)


async def test_each_that_waits_is_told_when_nothing_was_written(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))

        async def lose(connection: AsyncConnection) -> None:
            raise LeaseLost

        people = Batch(pull.website_id, contacts=[person("p")])
        go_on, tasks = await _saving(
            crisp,
            pull,
            pull.save(people, checkpoint={"people": 1}),
            pull.save(Batch(pull.website_id), lose, checkpoint={"conversations": 2}),
        )
        go_on.set()
        first, *told = await asyncio.gather(*tasks, return_exceptions=True)
        assert not isinstance(first, BaseException)
        assert [type(one) for one in told] == [LeaseLost] * 2
        assert await crisp.rows(select(contacts)) == []
        assert not {"people", "conversations"} & pull.claim.checkpoint.keys()


async def test_who_waits_to_ask_for_more_is_told_once_nothing_is_asked_any_more(
    database_url: str,
) -> None:
    """What is left then is the database's work: time to ask Crisp for more."""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))
        await pull.save(Batch(pull.website_id, conversations=[talk("s")]))
        seen: list[str] = []

        def note(*told: Any) -> None:
            seen.append(told[2].split()[0])

        batch = Batch(pull.website_id, messages=[said("s", 1)], conversations=[talk("t")])
        engine = crisp.db.engine.sync_engine
        event.listen(engine, "before_cursor_execute", note)
        await pull.save_when_possible(lambda: Save(batch, when_asked=lambda: seen.append("told")))
        event.remove(engine, "before_cursor_execute", note)
        told = seen.index("told")
        assert "SELECT" in seen[:told]
        assert "INSERT" in seen[told:], "the messages"
        if not crisp.db.is_sqlite:  # which looks whether words are to be indexed
            assert "SELECT" not in seen[told:]


async def test_who_waits_to_ask_for_more_is_told_though_the_batch_was_refused(
    database_url: str,
) -> None:
    """Or a run would wait for itself for ever. FAILURES case 53"""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))
        told: list[bool] = []

        async def refuse(*_: Any, **__: Any) -> Any:
            raise ValueError("as a value that the database refuses")

        batch = Batch(pull.website_id, conversations=[talk("s")])
        with patch.object(pull_module, "ingest", refuse):
            await pull.save_when_possible(lambda: Save(batch, when_asked=lambda: told.append(True)))
        assert told
        assert len(await crisp.rows(select(conversations))) == 1


@pytest.mark.parametrize("cancelled", [1, 2])
async def test_who_waits_is_saved_though_another_is_cancelled(
    database_url: str, cancelled: int
) -> None:
    """Whether the one that writes for all of them is cancelled, or one that it writes for."""
    async with sandbox_and_crispsync(database_url, people=0, conversations=0) as crisp:
        pull = await pull_of(crisp, await crisp.claim("full"))
        at_work = asyncio.Event()

        async def tell(connection: AsyncConnection) -> None:
            at_work.set()
            await asyncio.sleep(0)

        saves = [
            pull.save(
                Batch(pull.website_id, contacts=[person(f"p{n}")]), tell, counts={"people_done": 1}
            )
            for n in (1, 2)
        ]
        go_on, tasks = await _saving(crisp, pull, *saves)
        go_on.set()
        await at_work.wait()
        tasks[cancelled].cancel()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        kept = found[3 - cancelled]
        assert not isinstance(kept, BaseException)
        stored = {row.crisp_people_id for row in await crisp.rows(select(contacts))}
        assert f"p{3 - cancelled}" in stored
        run = await crisp.last_run()
        assert run.counts == pull.claim.counts, "the next save goes on from what is stored"


async def test_no_more_than_fifty_answers_are_unwritten(database_url: str) -> None:
    """Also where threads take several answers each: no more is asked for again after a kill."""
    async with sandbox_and_crispsync(database_url, people=5, conversations=40, others=()) as crisp:
        world, site = crisp.world, crisp.world.main
        for index in range(24):
            for n in range(130):
                send_message(world, site, index, f"line {n}")
                world.clock.advance(1_000)
        world.counters.reset()
        most, written, leave = 0, 0, threads._leave
        get = Pull.get

        def counted(room: asyncio.Semaphore, answers: int) -> None:
            nonlocal written
            written += answers
            leave(room, answers)

        async def watched(pull: Pull, path: str, params: Any = None) -> Any:
            nonlocal most
            answer = await get(pull, path, params)
            most = max(most, world.counters.by_route.get(MESSAGES, 0) - written)
            return answer

        with patch.object(threads, "_leave", counted), patch.object(Pull, "get", watched):
            assert await crisp.run("full") == "done"
        asked = world.counters.by_route[MESSAGES]
        assert asked > 2 * UNWRITTEN, "threads are long enough for this to say anything"
        assert written == asked
        assert len(crisp.client) < most <= UNWRITTEN == 50
        await crisp.assert_equals_truth()
