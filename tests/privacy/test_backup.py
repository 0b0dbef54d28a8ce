"""The restore drill of docs/operating.md, word for word, while crispsync runs (FAILURES case 89)."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from app.accounts.actors import COMMAND
from app.contacts.tables import contacts, erased_identities
from app.conversations.tables import conversations, messages
from app.privacy.erase import erase_contact
from app.privacy.website import erase_website
from app.sandbox.message_changes import send_message
from app.settings import get_settings
from app.websites.tables import websites
from tests.beside import Box, assert_one_sentence, fetch, sandbox_beside
from tests.fixtures.databases import sqlite_address, sqlite_template
from tests.fixtures.postgres import programs
from tests.fixtures.program import Program
from tests.fixtures.warm import CRISPSYNC
from tests.pulling import Crispsync

OPERATING = Path(__file__).parents[2] / "docs" / "operating.md"


def documented(title: str) -> str:
    """The commands of the manual under that comment."""
    found = re.search(rf"```sh\n# {title}\n(.*?)```", OPERATING.read_text(), re.DOTALL)
    assert found is not None, f"docs/operating.md has no commands under “# {title}”"
    return found[1]


def do_as_documented(title: str, program: Program, env: dict[str, str]) -> str:
    return do_in_shell(documented(title), program, env)


def do_in_shell(commands: str, program: Program, env: dict[str, str]) -> str:
    path = f"{CRISPSYNC.parent}:{programs()}:{os.environ['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-eu", "-c", commands],
        cwd=program.folder, env=program.environment(env) | {"PATH": path},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=["SQLite", "PostgreSQL"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def url(
    kind: str,
    request: pytest.FixtureRequest,
    program: Program,
    monkeypatch: pytest.MonkeyPatch,
) -> str:
    """Where the manual's commands expect it."""
    (program.folder / "backup").mkdir()
    (program.folder / "data").mkdir()
    if kind == "PostgreSQL":
        given = str(request.getfixturevalue("migrated_postgres_url"))
        # Where the programs have it, for what is erased in this process.
        monkeypatch.setenv("ERASED_FILE", str(program.folder / "data" / "erased.list"))
        get_settings.cache_clear()
        return given
    shutil.copyfile(sqlite_template(), program.folder / "data" / "crispsync.db")
    return sqlite_address(program.folder / "data" / "crispsync.db")


def stored(database_url: str) -> dict[str, set[Any]]:
    """What is known of Crisp, without what differs between two readings of the same."""
    return {
        "people": {tuple(row) for row in fetch(database_url, select(contacts.c.crisp_people_id))},
        "talks": {
            tuple(row)
            for row in fetch(
                database_url, select(conversations.c.session_id, conversations.c.message_count)
            )
        },
        "messages": {
            tuple(row)
            for row in fetch(database_url, select(messages.c.fingerprint, messages.c.body))
        },
        "erased": {tuple(row) for row in fetch(database_url, select(erased_identities.c.digest))},
        "websites": {tuple(row) for row in fetch(database_url, select(websites.c.id))},
    }


def erase_somebody(box: Box, url: str) -> str:
    """In this process, which is quicker; the people id."""
    query = select(contacts.c.crisp_people_id, contacts.c.id).join(
        conversations, conversations.c.contact_id == contacts.c.id
    )
    chosen = fetch(url, query.order_by(contacts.c.id))[0]
    box.with_crispsync(url, lambda crisp: erase_contact(crisp.db, COMMAND, chosen.id))
    return str(chosen.crisp_people_id)


def a_day_goes_by(box: Box, url: str, folder: Path) -> str:
    """Somebody is erased, another website too, and a question is asked; who was erased."""
    erased = erase_somebody(box, url)
    other = list(box.world.sites)[1]
    send_message(box.world, box.world.main, 5, "Asked after the backup")
    box.world.clock.advance(600_000)

    async def work(crisp: Crispsync) -> None:
        await erase_website(crisp.db, folder, other, COMMAND)
        assert await crisp.run("incremental") == "done"

    box.with_crispsync(url, work)
    return erased


def test_case_089_restored_from_yesterdays_backup(kind: str, url: str, program: Program) -> None:
    with sandbox_beside(people=12, conversations=25, frozen=True) as box:
        env = box.pulled(url)
        other = list(box.world.sites)[1]
        box.with_crispsync(url, lambda crisp: crisp.connect(other))
        running = program.start("serve", "--port", "0", env=env)
        running.wait_for_line(r"crispsync serves (http://\S+)")
        do_as_documented(f"backup of {kind}", program, env)
        running.stop()
        erased = a_day_goes_by(box, url, program.folder)
        before = stored(url)

        told = do_as_documented(f"restore of {kind}", program, env)
        assert "Erased again: 1 contacts" in told
        assert "1 websites" in told
        after = stored(url)
        assert (erased,) not in after["people"]
        # Cursors went back with the data: what was asked since was read again.
        assert after == before


def test_case_089_nobody_is_served_before_they_are_erased_again(
    kind: str, url: str, program: Program
) -> None:
    """Whoever forgets the command starts as ever: the start does it, before it listens."""
    with sandbox_beside(people=12, conversations=25, frozen=True, others=()) as box:
        env = box.pulled(url)
        erase_somebody(box, url)
        do_as_documented(f"backup of {kind}", program, env)
        erased = erase_somebody(box, url)
        block = documented(f"restore of {kind}").split("crispsync erasures apply")[0]
        do_in_shell(block, program, env)
        query = select(contacts.c.id).where(contacts.c.crisp_people_id == erased)
        assert len(fetch(url, query)) == 1
        # Without the key that seals the list nobody is served at all.
        wrong = {**env, "SECRET_KEY": "another-9876543210-zyxwvutsrqponmlk"}
        refused = program.run("serve", "--port", "0", env=wrong)
        assert refused.code == 1
        assert "SECRET_KEY" in refused.stderr
        assert_one_sentence(refused.stderr)
        running = program.start("serve", "--port", "0", env=env)
        running.wait_for_line(r"crispsync serves (http://\S+)")
        assert fetch(url, query) == []
        running.kill()
