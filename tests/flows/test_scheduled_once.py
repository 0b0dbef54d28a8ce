"""What goes on by the clock is done once, whichever of two web and three worker processes comes to it (SPEC H1).

Runs, audits, hooks, imports, alerts' messages and the comparison of websites: test_many_processes.py.
PostgreSQL itself notes here who did what, by triggers of the test's own.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import insert, select, text, update

from app.accounts.actors import COMMAND
from app.alerts.tables import alert_messages, alerts
from app.alerts.targets import add_hook
from app.alerts.work import LOOK_EVERY
from app.contacts.tables import contacts, erased_identities
from app.conversations.tables import conversations
from app.db.turns import turns
from app.insights.keep import EVERY as FACTS_EVERY
from app.insights.tables import thread_facts, thread_facts_places
from app.privacy.keeping import PURGE_EVERY, SWEEP_EVERY
from app.privacy.tables import purges
from app.sync.comparing import AT_START
from app.webhooks.tables import inbox_events
from tests.alerts.receiving import receiving_hooks
from tests.alerts.test_alerts import settings_of
from tests.beside import Box, change, fetch, sandbox_beside, until
from tests.fixtures.program import Program
from tests.flows.steps import CONVERSATION, PROFILE
from tests.flows.test_many_processes import start_all
from tests.hooking import hook, row_of
from tests.pulling import Crispsync

OLD = timedelta(days=40)
NOTED = """
CREATE TABLE noted (what text NOT NULL, at_ms bigint NOT NULL);
CREATE FUNCTION note_turn() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted VALUES ('turn ' || NEW.name, NEW.taken_ms); RETURN NEW;
END $$;
CREATE TRIGGER note_turn AFTER UPDATE ON turns FOR EACH ROW
  WHEN (NEW.taken_ms > OLD.taken_ms) EXECUTE FUNCTION note_turn();
CREATE FUNCTION note_purge() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted VALUES ('purge of ' || NEW.kind, 0); RETURN NEW;
END $$;
CREATE TRIGGER note_purge AFTER INSERT OR UPDATE ON purges FOR EACH ROW
  EXECUTE FUNCTION note_purge();
CREATE FUNCTION note_sweep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
  INSERT INTO noted VALUES ('swept ' || NEW.digest, 0); RETURN NEW;
END $$;
CREATE TRIGGER note_sweep AFTER UPDATE ON erased_identities FOR EACH ROW
  WHEN (OLD.swept_at IS NULL AND NEW.swept_at IS NOT NULL) EXECUTE FUNCTION note_sweep();
"""


def noted(url: str) -> Counter[str]:
    return Counter(row.what for row in fetch(url, text("SELECT what FROM noted")))


def turns_of(url: str, name: str) -> list[int]:
    """When it was taken, epoch ms of the database, in order."""
    query = text("SELECT at_ms FROM noted WHERE what = :what ORDER BY at_ms")
    return [row.at_ms for row in fetch(url, query.bindparams(what=f"turn {name}"))]


async def a_target(crisp: Crispsync, address: str) -> None:
    async def work(connection: Any) -> None:
        await add_hook(connection, COMMAND, settings_of(), address, None)

    await crisp.db.transact(work)


def leave_work(box: Box, url: str) -> None:
    """Old hooks to drop, one that could not be applied, an erasure to finish, every record to be asked for."""
    then = datetime.now(UTC) - OLD
    for number in range(5):
        body = hook("message:send", number, website_id=box.website_id)
        change(url, insert(inbox_events).values(row_of(body, then, state="done")))
    body = hook("message:send", 99, website_id=box.website_id)
    change(url, insert(inbox_events).values(row_of(body, datetime.now(UTC), state="dead")))
    change(url, update(erased_identities).values(swept_at=None))
    for table in (contacts, conversations):
        change(url, update(table).values(refresh_due_ms=0, refresh_hint_ms=0))


def all_done(url: str) -> bool:
    """But the alert, which needs two looks."""
    found = noted(url)
    due = [
        fetch(url, select(table.c.id).where(table.c.refresh_due_ms.is_not(None)))
        for table in (contacts, conversations)
    ]
    unkept = fetch(
        url, select(thread_facts_places).where(thread_facts_places.c.rebuilt_to.is_not(None))
    )
    kept = fetch(url, select(thread_facts.c.conversation_id))
    stored = fetch(url, select(conversations.c.id))
    waits = fetch(url, select(erased_identities).where(erased_identities.c.swept_at.is_(None)))
    wanted = {
        "purge of uploads",
        "turn purge",
        "turn sweep erased",
        "turn alerts",
        "turn compare websites",
    }
    return (
        wanted <= found.keys()
        and not any(due)
        and not unkept
        and not waits
        and len(kept) == len(stored)
    )


def look_again(url: str) -> None:
    """As if a minute had passed for who looks what is wrong; until one of the five has looked."""
    seen = select(alerts.c.seen_at).where(alerts.c.cause == "dead_letters")
    (before,) = until(lambda: fetch(url, seen))
    change(url, update(turns).where(turns.c.name == "alerts").values(taken_ms=0))
    until(lambda: fetch(url, seen)[0].seen_at > before.seen_at)


def test_what_the_clock_brings_is_done_by_one(
    program: Program, migrated_postgres_url: str, redis_url: str
) -> None:
    url = migrated_postgres_url
    with sandbox_beside(people=20, conversations=30, others=()) as box, receiving_hooks() as told:
        more = {"ALERTS_TO_PRIVATE": "true", "RAW_HOOK_DAYS": "14", "UPLOAD_DAYS": "30"}
        env = box.pulled(url, REDIS_URL=redis_url, CRISP_SIGNING_SECRET="s", **more)
        box.with_crispsync(url, lambda crisp: a_target(crisp, told.url))
        somebody = fetch(url, select(contacts.c.id).order_by(contacts.c.id))[0].id
        assert program.run("erase", somebody, env=env).code == 0
        leave_work(box, url)
        erased = {f"swept {row.digest}" for row in fetch(url, select(erased_identities.c.digest))}
        assert erased
        change(url, text(NOTED))
        box.world.counters.reset()
        box.world.counters.keep_log(5_000)

        start_all(program, env)
        until(lambda: all_done(url))
        look_again(url)
        until(lambda: "done" in {row.state for row in fetch(url, select(alert_messages.c.state))})
        look_again(url)
        program.kill_all()

        assert_each_record_asked_for_once(box, url)
        assert_taken_in_turns(url)
        found = noted(url)
        assert {what: found[what] for what in erased} == dict.fromkeys(erased, 1)
        assert found["turn purge"] == found["purge of uploads"] == 1
        (dropped,) = fetch(url, select(purges.c.dropped).where(purges.c.kind == "raw hooks"))
        assert dropped.dropped == 5
        assert_one_alert(url, told.ids)


def assert_each_record_asked_for_once(box: Box, url: str) -> None:
    asked = Counter((one.route, one.args[-1]) for one in box.world.counters.log)
    people = fetch(url, select(contacts.c.crisp_people_id).where(contacts.c.deleted_at.is_(None)))
    talks = fetch(url, select(conversations.c.session_id))
    wanted = {(PROFILE, row[0]) for row in people} | {(CONVERSATION, row[0]) for row in talks}
    assert len(wanted) > 40
    assert {one: asked[one] for one in wanted} == dict.fromkeys(wanted, 1)


def assert_taken_in_turns(url: str) -> None:
    """By the database's clock nobody took a turn before its time had come."""
    for name, every in (
        ("thread facts", FACTS_EVERY),
        ("purge", PURGE_EVERY),
        ("sweep erased", SWEEP_EVERY),
        ("compare websites", AT_START),
    ):
        taken = turns_of(url, name)
        assert taken, name
        assert all(later - one >= every * 1000 for one, later in pairwise(taken)), name
    # The first one, one for each of the two times that the test let somebody look, and one a minute.
    taken = turns_of(url, "alerts")
    assert 3 <= len(taken) <= 3 + (taken[-1] - taken[0]) / (LOOK_EVERY * 1000)


def assert_one_alert(url: str, ids: list[str]) -> None:
    (opened,) = fetch(url, select(alerts.c.id).where(alerts.c.cause == "dead_letters"))
    sent = fetch(
        url, select(alert_messages.c.id, alert_messages.c.state, alert_messages.c.alert_id)
    )
    of_it = [row for row in sent if row.alert_id == opened.id]
    assert [row.state for row in of_it] == ["done"]
    assert Counter(ids) == Counter(f"msg_{row.id}" for row in sent)
    told = fetch(url, select(alert_messages.c.payload))
    assert {row.payload["type"] for row in told} == {"alert.opened"}
