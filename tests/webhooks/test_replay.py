"""Putting events back (SPEC V6): by id, state, time; never without a body; in pieces."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import event, select

from app.accounts.actors import Actor, Role
from app.accounts.tables import audit_log
from app.db.session import Database
from app.webhooks import replay
from app.webhooks.letters import STATES, Filter
from app.webhooks.replay import Replayed, replay_matching, replay_one
from app.webhooks.tables import inbox_events
from tests.webhooks.conftest import OTHER, SITE, Put, ago, an_event, connect_website


async def states_of(db: Database) -> dict[str, str]:
    async with db.read() as connection:
        rows = await connection.execute(select(inbox_events.c.id, inbox_events.c.state))
        return {row.id: row.state for row in rows}


async def test_one_is_as_new(db: Database, put: Put) -> None:
    (key,) = await put(an_event(1))
    assert await replay_one(db, key) == Replayed(1, 0)
    async with db.read() as connection:
        row = (await connection.execute(select(inbox_events))).one()
    assert (row.state, row.attempts, row.error, row.done_at) == (
        "new",
        0,
        None,
        None,
    )
    assert (row.deliveries, row.received_at, row.body) == (1, ago(hours=1), b'{"n":"1"}')
    assert await replay_one(db, key) == Replayed()


@pytest.mark.parametrize("state", STATES)
async def test_each_state(db: Database, put: Put, state: str) -> None:
    (key,) = await put(an_event(1, state=state))
    assert await replay_one(db, key) == Replayed(0 if state == "new" else 1)
    assert await states_of(db) == {key: "new"}


async def test_unknown_id(db: Database) -> None:
    assert await replay_one(db, "0" * 64) == Replayed()


async def test_never_without_a_body(db: Database, put: Put) -> None:
    gone, kept = await put(an_event(1, body=None), an_event(2))
    assert await replay_one(db, gone) == Replayed(0, 1)
    assert await replay_matching(db, Filter(("dead",))) == Replayed(1, 1)
    assert await states_of(db) == {gone: "dead", kept: "new"}


@pytest.mark.parametrize(
    ("wanted", "keys"),
    [
        (Filter(("dead",)), "abe"),
        (Filter(("dead", "parked")), "abde"),
        (Filter(("new",)), ""),
        (Filter(("done",)), "c"),
        (Filter(), "abcde"),
        (Filter(("dead",), event="people:bind:session"), "b"),
        (Filter(since=ago(hours=5), until=ago(hours=2)), "bc"),
        (Filter(since=ago(hours=3)), "bcde"),  # included
        (Filter(until=ago(hours=3)), "a"),  # not included
        (Filter(("dead",), website_id=SITE, nobodys=True), "ab"),
    ],
)
async def test_what_fits(db: Database, put: Put, wanted: Filter, keys: str) -> None:
    await connect_website(db)
    await connect_website(db, OTHER)
    events: dict[str, dict[str, Any]] = {
        "a": an_event("a", received_at=ago(hours=9)),
        "b": an_event("b", received_at=ago(hours=3), event="people:bind:session"),
        "c": an_event("c", received_at=ago(hours=2.5), state="done"),
        "d": an_event("d", state="parked", website_id=None),
        "e": an_event("e", website_id=OTHER),
        "f": an_event("f", state="new"),
    }
    await put(*events.values())
    before = await states_of(db)
    assert (await replay_matching(db, wanted)).put_back == len(keys)
    after = await states_of(db)
    changed = {key for key, row in events.items() if before[row["id"]] != after[row["id"]]}
    assert changed == set(keys)


async def test_of_one_website_and_nobody(db: Database, put: Put) -> None:
    await connect_website(db)
    await connect_website(db, OTHER)
    own, others, nobodys = await put(
        an_event(1), an_event(2, website_id=OTHER), an_event(3, website_id=None)
    )
    assert await replay_one(db, others, SITE) == Replayed()
    assert await replay_matching(db, Filter(("dead",), website_id=SITE, nobodys=True)) == Replayed(
        2
    )
    assert await states_of(db) == {own: "new", others: "dead", nobodys: "new"}


async def test_many_go_in_pieces_and_each_once(
    db: Database, put: Put, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "AT_ONCE", 10)
    # Many in one moment: the place between two pieces is inside it.
    await put(
        *(
            an_event(n, received_at=ago(hours=n // 17), state=("dead", "done")[n % 2])
            for n in range(95)
        )
    )
    commits = []
    event.listen(db.engine.sync_engine, "commit", lambda _: commits.append(1))
    assert await replay_matching(db, Filter()) == Replayed(95)
    assert len(commits) == 10
    assert set((await states_of(db)).values()) == {"new"}
    assert await replay_matching(db, Filter()) == Replayed()


async def told(db: Database) -> list[tuple[Any, ...]]:
    a = audit_log.c
    query = select(a.action, a.actor_name, a.website_id, a.subject_id, a.before, a.after)
    async with db.read() as connection:
        return [tuple(row) for row in await connection.execute(query.where(a.actor_id == "u-1"))]


ANN = Actor("user", "u-1", "Ann", Role.MEMBER)


async def test_who_had_one_applied_again_is_told(db: Database, put: Put) -> None:  # SPEC P4
    key, gone = await put(an_event(1), an_event(2, body=None))
    await replay_one(db, key, actor=ANN)
    # Neither what waits already nor what nothing is left of.
    await replay_one(db, key, actor=ANN)
    await replay_one(db, gone, actor=ANN)
    after = {"state": "new"}
    assert await told(db) == [("event.replayed", "Ann", SITE, key, {"state": "dead"}, after)]


async def test_who_had_many_applied_again_is_told(db: Database, put: Put) -> None:  # SPEC P4
    await put(an_event(1), an_event(2), an_event(3, state="done"))
    await replay_matching(db, Filter(("dead",), website_id=SITE), ANN)
    await replay_matching(db, Filter(("dead",), website_id=SITE), ANN)
    before, after = {"states": ["dead"], "event": None}, {"state": "new", "count": 2}
    assert await told(db) == [("events.replayed", "Ann", SITE, None, before, after)]
