"""The proof of SPEC P6: a marker in every text field; after the erasure no dump, file or page of the database has it.

Against the sandbox, on both databases; then a new full sync, the same file and every hook again.
"""

from __future__ import annotations

import os
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

from sqlalchemy import insert, make_url

from app.accounts.actors import COMMAND
from app.accounts.audit import audit
from app.accounts.replies import api_replies
from app.clock import now
from app.db.base import new_id
from app.privacy.erase import erase_contact
from app.privacy.sweep import leave_nothing, sweep
from app.sandbox.conversation_changes import begin_conversation, set_field
from app.sandbox.hook_collector import HookCollector, collected_hooks
from app.sandbox.message_changes import send_message
from app.sandbox.people_changes import change_person, new_person
from app.sync.tables import sync_failures
from app.webhooks.apply import apply_waiting
from app.webhooks.letters import Filter
from app.webhooks.replay import replay_matching
from tests.fixtures.postgres import programs
from tests.hooking import receive, row_of
from tests.imports.importing import Importing
from tests.pulling import Crispsync, sandbox_and_crispsync

MARK = "zqxmarker"
ADDRESS = f"{MARK}@{MARK}.example"
FILE = f"E-mail,Name,Phone,Segments,data.plan\n{ADDRESS},{MARK} csv,+34651234567,{MARK},{MARK}\nbo@x.example,Bo,,,\n"
MINUTE = 60_000


def marked_profile() -> dict[str, Any]:
    return {
        "email": ADDRESS.upper(),
        "person": {
            "nickname": MARK, "phone": f"+34 {MARK}", "address": MARK, "description": MARK,
            "website": f"https://{MARK}.example", "avatar": f"https://x.example/{MARK}.png",
            "employment": {"title": MARK, "role": MARK},
            "geolocation": {"country": "DE", "city": MARK}, "locales": [MARK],
            "profiles": [{"type": "github", "handle": MARK}],
        },
        "segments": [MARK], "notepad": MARK,
    }  # fmt: skip


def marked_meta() -> dict[str, Any]:
    return {
        "email": ADDRESS, "nickname": MARK, "phone": MARK, "address": MARK, "subject": f"{MARK} s",
        "segments": [MARK], "data": {MARK: MARK}, "avatar": f"https://x.example/{MARK}.png",
        "ip": MARK, "device": {"geolocation": {"city": MARK}, "system": {"useragent": MARK}},
    }  # fmt: skip


MESSAGES: tuple[tuple[str, Any], ...] = (
    ("text", f"I am {MARK}"),
    ("note", f"about {MARK}"),
    ("file", {"name": f"{MARK}.pdf", "url": f"https://x.example/{MARK}.pdf", "type": "a/b"}),
    ("field", {"id": "f", "text": MARK, "explain": MARK, "value": MARK}),
    ("strange", {"anything": [MARK, {MARK: MARK}]}),
)


async def test_the_marker_is_nowhere(database_url: str, tmp_path: Path) -> None:
    uploads = tmp_path / "uploads"
    async with sandbox_and_crispsync(
        database_url, people=8, conversations=10, frozen=True, others=()
    ) as crisp:
        with collected_hooks(crisp.world) as hooks:
            people_id = await fill(crisp, hooks, uploads)
            bodies = [hook.body for hook in hooks.take()]
        await deliver(crisp, bodies)
        assert len(found_in(database_url, tmp_path)) >= 3
        [contact_id] = [row.id for row in await crisp.rows(contact_of(people_id))]
        await write_beside(crisp, contact_id, people_id)

        await erase_contact(crisp.db, COMMAND, contact_id)
        await sweep(crisp.db, uploads)
        assert found_in(database_url, tmp_path) == []

        crisp.world.clock.advance(5 * MINUTE)
        state = await crisp.run("full")
        assert state == "done", (await crisp.last_run()).error
        importing = Importing(crisp.db, crisp.website_id, uploads)
        imported = await importing.run(FILE)
        assert (imported.state, imported.counts["error"]) == ("done", 1)
        await replay_matching(crisp.db, Filter(states=("done", "ignored")))
        await apply_waiting(crisp.db)
        # Byte for byte the same are known; others say the same in other bytes.
        await deliver(crisp, [body + b" " for body in bodies])
        await leave_nothing(crisp.db)
        assert found_in(database_url, tmp_path) == []


async def fill(crisp: Crispsync, hooks: HookCollector, uploads: Path) -> str:
    """A person, their conversation, an import and hooks about them; the people id."""
    world, site = crisp.world, crisp.world.main
    p, _ = new_person(world, site, **marked_profile())
    people_id = str(site.profile(p)["people_id"])
    i, _ = begin_conversation(
        world, site, content=f"{MARK} first", people_id=people_id, meta=marked_meta()
    )
    for kind, content in MESSAGES:
        world.clock.advance(1000)
        send_message(world, site, i, content, inbound=kind != "note", type=kind)
    world.clock.advance(5 * MINUTE)
    assert await crisp.run("full") == "done"
    set_field(world, site, i, "nickname", f"{MARK} two")
    change_person(world, site, p, person={"nickname": f"{MARK} three"})
    await Importing(crisp.db, crisp.website_id, uploads).run(FILE)
    return people_id


def contact_of(people_id: str) -> Any:
    from sqlalchemy import select

    from app.contacts.tables import contacts

    return select(contacts.c.id).where(contacts.c.crisp_people_id == people_id)


async def deliver(crisp: Crispsync, bodies: list[bytes]) -> None:
    from app.webhooks.hooks import read_hook

    rows = []
    for body in dict.fromkeys(bodies):
        hook = read_hook(body, b"0", b"1", now())
        rows.append(
            row_of(
                body, hook.received_at, website_id=hook.website_id, event=hook.event,
                emitted_ms=hook.emitted_ms,
            )
        )  # fmt: skip
    await receive(crisp.db, *rows)
    await apply_waiting(crisp.db)


async def write_beside(crisp: Crispsync, contact_id: str, people_id: str) -> None:
    """What else of a person is written down: the audit log, a failed record, an answer of the API."""
    run = await crisp.last_run()
    async with crisp.db.write() as connection:
        await audit(
            connection, COMMAND, "contact.edited", website_id=crisp.website_id,
            subject=("contact", contact_id), before={"name": MARK}, after={"email": ADDRESS},
        )  # fmt: skip
        await connection.execute(
            insert(sync_failures).values(
                website_id=crisp.website_id, run_id=run.id, kind="contact", external_id=people_id,
                reason=MARK, happened_at=now(),
            )
        )  # fmt: skip
        await connection.execute(
            insert(api_replies).values(
                actor_id="t", key=new_id(), asked_hash="x", status=200, body=MARK, created_at=now()
            )
        )


def found_in(database_url: str, folder: Path) -> list[str]:
    """Where the marker stands: lines of a dump, and files of the data folder, the database's too."""
    places = [line[:160] for line in dump(database_url) if MARK in line.lower()]
    for path in sorted(folder.rglob("*")):
        if path.is_file() and MARK.encode() in path.read_bytes().lower():
            places += [path.name]
    return places


def dump(database_url: str) -> list[str]:
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        with sqlite3.connect(str(url.database)) as connection:
            lines = list(connection.iterdump())
        connection.close()
        return lines
    address = url.set(drivername="postgresql").render_as_string(hide_password=False)
    done = subprocess.run(
        [str(programs() / "pg_dump"), "--inserts", address],
        capture_output=True, text=True, check=True, env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    return done.stdout.splitlines()
