"""Two web and three worker processes on one PostgreSQL and one Redis do each thing once (SPEC H1)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from sqlalchemy import select, update

from app.accounts.actors import COMMAND
from app.alerts.tables import alert_messages
from app.alerts.targets import add_hook
from app.alerts.watch import queue
from app.contacts.tables import contacts
from app.conversations.tables import messages
from app.imports.steps import ask_commit
from app.imports.tables import imports
from app.sandbox.hook_collector import collected_hooks
from app.sandbox.message_changes import send_message
from app.settings import Settings
from app.sync.tables import sync_runs, working_processes
from app.webhooks.tables import inbox_events
from app.websites.tables import websites
from tests.alerts.receiving import receiving_hooks
from tests.beside import Box, change, fetch, runs, sandbox_beside, until
from tests.fixtures.program import SECRET_KEY, Program
from tests.flows.test_hooks_outages import OLD, id_of, post
from tests.imports.importing import MEMBER, Importing
from tests.pulling import Crispsync

COMPARISON = "/plugin/connect/websites/all/{page}"
HOOKS = 40
ALERTS = 12
ROWS = 500


def start_all(program: Program, env: dict[str, str]) -> list[str]:
    """Two that serve and three that work; addresses of the first."""
    webs = [program.start("serve", "--port", "0", env=env) for _ in range(2)]
    for _ in range(3):
        program.start("worker", env=env)
    addresses = [web.wait_for_line(r"crispsync serves (http://\S+)")[1] for web in webs]
    until(lambda: len(fetch(env["DATABASE_URL"], select(working_processes.c.name))) >= 3)
    return addresses


def file_of_contacts() -> str:
    return "E-mail,Name\n" + "".join(f"row{n}@file.example,Row {n}\n" for n in range(ROWS))


async def ask_for_import(crisp: Crispsync, folder: Path) -> None:
    site = Importing(crisp.db, crisp.website_id, folder)
    planned = await site.plan(file_of_contacts())
    await ask_commit(crisp.db, site.id, planned.id, planned.plan_hash, MEMBER)


async def ask_for_alerts(crisp: Crispsync, url: str) -> None:
    settings = Settings(secret_key=SecretStr(SECRET_KEY), alerts_to_private=True)

    async def work(connection: Any) -> None:
        target_id, _secret = await add_hook(connection, COMMAND, settings, url, None)
        for number in range(ALERTS):
            await queue(connection, target_id, {"type": "alert.test", "data": number}, None, None)

    await crisp.db.transact(work)


def make_all_due(url: str) -> None:
    """As if the last runs had been two days ago: an incremental run and an audit of each website."""
    then = datetime.now(UTC) - timedelta(days=2)
    change(url, update(sync_runs).values(created_at=then))
    change(url, update(websites).values(first_imported_at=then))


def all_done(url: str) -> bool:
    done = Counter(run["kind"] for run in runs(url) if run["state"] == "done")
    kinds = {"incremental": 2, "audit": 2}
    waiting = (
        select(inbox_events.c.id).where(inbox_events.c.state == "new"),
        select(alert_messages.c.id).where(alert_messages.c.state == "waiting"),
        select(imports.c.id).where(imports.c.state != "done"),
    )
    return all(done[kind] >= count for kind, count in kinds.items()) and not any(
        fetch(url, query) for query in waiting
    )


def test_each_thing_is_done_once(
    program: Program, migrated_postgres_url: str, redis_url: str, tmp_path: Path
) -> None:
    url, folder = migrated_postgres_url, tmp_path / "uploads"
    with (
        sandbox_beside(people=20, conversations=30, others=((5, 8, True),)) as box,
        receiving_hooks() as received,
    ):
        more = {"ALERTS_TO_PRIVATE": "true", "UPLOADS_FOLDER": str(folder)}
        env = box.pulled(url, REDIS_URL=redis_url, CRISP_SIGNING_SECRET=OLD, **more)
        other = list(box.world.sites)[1]
        box.with_crispsync(url, lambda crisp: crisp.connect(other))
        box.with_crispsync(url, lambda crisp: pull_of(crisp, other))
        box.world.counters.reset()
        addresses = start_all(program, env)
        until(lambda: box.world.counters.by_route[COMPARISON])

        box.with_crispsync(url, lambda crisp: ask_for_import(crisp, folder))
        box.with_crispsync(url, lambda crisp: ask_for_alerts(crisp, received.url))
        bodies = asked_questions(box)
        make_all_due(url)
        assert {post(addresses[n % 2], body) for n, body in enumerate(bodies)} == {200}
        until(lambda: all_done(url))
        program.kill_all()

        assert_each_run_once(box, url)
        # A page of the list, and the empty one behind it.
        assert box.world.counters.by_route[COMPARISON] == 2
        scheduled = [run for run in runs(url) if run["started_by"] == "schedule"]
        assert box.world.counters.total == sum(run["requests"] for run in scheduled) + 2
        assert_hooks_once(url, bodies)
        assert_import_once(url)
        assert len(received.ids) == len(set(received.ids)) == ALERTS


def asked_questions(box: Box) -> list[bytes]:
    """What Crisp sends for as many new messages."""
    with collected_hooks(box.world) as hooks:
        for number in range(HOOKS):
            send_message(box.world, box.world.main, number % 5, f"Question {number}")
        return [hook.body for hook in hooks.take()]


def assert_each_run_once(box: Box, url: str) -> None:
    done = Counter((run["website_id"], run["kind"], run["state"]) for run in runs(url))
    kinds = ("full", "incremental", "audit")
    assert done == dict.fromkeys(product(box.world.sites, kinds, ["done"]), 1)


def assert_hooks_once(url: str, bodies: list[bytes]) -> None:
    stored = fetch(url, select(inbox_events.c.id, inbox_events.c.deliveries, inbox_events.c.state))
    assert {tuple(row) for row in stored} == {(id_of(body), 1, "done") for body in bodies}
    texts = Counter(row.body for row in fetch(url, select(messages.c.body)))
    assert {texts[f"Question {number}"] for number in range(HOOKS)} == {1}


def assert_import_once(url: str) -> None:
    (one,) = fetch(url, select(imports))
    assert one.counts["created"] == ROWS
    made_by_file = fetch(url, select(contacts.c.email).where(contacts.c.source == "csv"))
    assert Counter(row.email for row in made_by_file) == {
        f"row{n}@file.example": 1 for n in range(ROWS)
    }


async def pull_of(crisp: Crispsync, website_id: str) -> None:
    crisp.website_id = website_id
    assert await crisp.run("full") == "done"
