"""`user add`, `token create`, `erase` and `person`, as programs: right input, wrong input, nothing half-done."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import func, select

from app.accounts.passwords import password_fits
from app.accounts.tables import api_tokens, audit_log, token_grants, users, website_grants
from app.accounts.tokens import actor_of_token
from app.contacts.tables import contacts, erased_identities
from app.db.session import open_database
from tests.beside import Box, assert_one_sentence, fetch, sandbox_beside
from tests.fixtures.program import Finished, Program

NOWHERE = "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"
PASSWORD = "three quiet herons at noon"


@pytest.fixture
def box() -> Iterator[Box]:
    with sandbox_beside(people=5, conversations=5) as opened:
        yield opened


def is_refused(done: Finished, words: str) -> None:
    assert done.code == 2, done
    assert done.stdout == ""
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def count(url: str, table: object) -> int:
    return int(fetch(url, select(func.count()).select_from(table))[0][0])  # type: ignore[arg-type]


def test_an_invitation_is_a_link_that_opens(
    program: Program, database_url: str, box: Box
) -> None:  # SPEC P4
    env = box.connected(database_url, PUBLIC_URL="https://sync.example/")
    role = ("--role", "viewer", "--website", box.website_id)
    done = program.run("user", "add", " Ann@Acme.example ", *role, env=env)
    assert done.code == 0, done
    assert "https://sync.example/welcome?link=" in done.stdout
    (user,) = fetch(database_url, select(users))
    assert (user.email, user.role, user.password_hash) == ("ann@acme.example", "viewer", None)
    assert [r.website_id for r in fetch(database_url, select(website_grants))] == [box.website_id]
    server = program.start("serve", "--port", "0", env={**env, "PUBLIC_URL": ""})
    address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
    link = done.stdout.split("link=")[1].strip()
    assert httpx.get(f"{address}/welcome", params={"link": link}).status_code == 200
    assert httpx.get(f"{address}/welcome", params={"link": link + "x"}).status_code != 200
    assert link not in server.output
    actions = [r.action for r in fetch(database_url, select(audit_log.c.action))]
    assert "user.added" in actions


def test_a_password_is_read_from_standard_input(
    program: Program, sqlite_url: str, box: Box
) -> None:
    env = box.connected(sqlite_url)
    told = ("user", "add", "ann@acme.example", "--role", "admin", "--password")
    done = program.run(*told, env=env, stdin=PASSWORD + "\n")
    assert done.code == 0, done
    assert done.stdout == "ann@acme.example can log in now, as admin.\n"
    (user,) = fetch(sqlite_url, select(users))
    assert asyncio.run(password_fits(user.password_hash, PASSWORD))
    assert PASSWORD not in done.stdout + done.stderr
    assert_one_sentence(program.run(*told, env=env, stdin=PASSWORD + "\n").stderr)
    assert count(sqlite_url, users) == 1


@pytest.mark.parametrize(
    ("told", "stdin", "words"),
    [
        (("not an address", "--role", "viewer"), "", "That is no e-mail address"),
        (("ann@acme.example",), "", "--role"),
        (("ann@acme.example", "--role", "queen"), "", "queen"),
        (("ann@acme.example", "--role", "viewer", "--website", "1234"), "", "Website settings"),
        (("ann@acme.example", "--role", "viewer", "--website", NOWHERE), "", "is not connected"),
        (("ann@acme.example", "--role", "admin", "--password"), "short\n", "at least"),
        (("ann@acme.example", "--role", "admin", "--password"), "", "at least"),
        (("ann@acme.example", "--role", "admin", "--password"), "password12345\n", "guessed"),
    ],
)
def test_a_wrong_user_is_refused_and_nobody_is_added(
    program: Program, sqlite_url: str, told: tuple[str, ...], stdin: str, words: str
) -> None:
    assert program.run("migrate", env={"DATABASE_URL": sqlite_url}).code == 0
    done = program.run("user", "add", *told, env={"DATABASE_URL": sqlite_url}, stdin=stdin)
    is_refused(done, words)
    assert count(sqlite_url, users) == 0
    assert count(sqlite_url, audit_log) == 0


@pytest.mark.parametrize("scope", ["read", "write"])
def test_a_token_is_told_once_and_kept_as_a_hash(
    program: Program, database_url: str, box: Box, scope: str
) -> None:
    env = box.connected(database_url)
    told = ("token", "create", "nightly", "--scope", scope, "--website", box.website_id)
    done = program.run(*told, "--days", "7", env=env)
    assert done.code == 0, done
    token = done.stdout.strip()
    assert done.stdout == f"{token}\n"
    (row,) = fetch(database_url, select(api_tokens))
    assert token not in repr(row)
    assert (row.expires_at - row.created_at).days in {6, 7}
    assert [r.website_id for r in fetch(database_url, select(token_grants))] == [box.website_id]

    async def actor() -> object:
        db = open_database(database_url)
        try:
            return await actor_of_token(db, token)
        finally:
            await db.close()

    assert getattr(asyncio.run(actor()), "website_ids", None) == frozenset({box.website_id})


def test_a_token_may_last_for_ever_and_see_everything(
    program: Program, sqlite_url: str, box: Box
) -> None:
    env = box.connected(sqlite_url)
    assert program.run("token", "create", "x", "--scope", "read", "--days", "0", env=env).code == 0
    (row,) = fetch(sqlite_url, select(api_tokens))
    assert (row.expires_at, row.every_website) == (None, True)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("x",), "--scope"),
        (("x", "--scope", "all"), "all"),
        ((" ", "--scope", "read"), "needs a name"),
        (("x" * 101, "--scope", "read"), "needs a name"),
        (("x", "--scope", "read", "--days", "-1"), "--days"),
        (("x", "--scope", "read", "--website", "1234"), "Website settings"),
        (("x", "--scope", "read", "--website", NOWHERE), "is not connected"),
    ],
)
def test_a_wrong_token_is_refused_and_none_is_made(
    program: Program, sqlite_url: str, told: tuple[str, ...], words: str
) -> None:
    assert program.run("migrate", env={"DATABASE_URL": sqlite_url}).code == 0
    is_refused(program.run("token", "create", *told, env={"DATABASE_URL": sqlite_url}), words)
    assert count(sqlite_url, api_tokens) == 0


def somebody(url: str) -> tuple[str, str]:
    """A contact's id and address."""
    query = select(contacts.c.id, contacts.c.email).where(contacts.c.email.is_not(None))
    row = fetch(url, query.order_by(contacts.c.id))[0]
    return str(row.id), str(row.email)


def test_a_person_is_handed_out_and_erased(
    program: Program, database_url: str, box: Box
) -> None:  # SPEC P6
    env = box.pulled(database_url)
    contact_id, email = somebody(database_url)
    out = program.folder / "person.json"
    assert program.run("person", contact_id, "--out", str(out), env=env).code == 0
    shown = program.run("person", contact_id, env=env)
    assert shown.code == 0, shown
    # The audit log tells that it was handed out before; the rest is the same.
    first, second = json.loads(out.read_text()), json.loads(shown.stdout)
    assert first["contacts"] == second["contacts"]
    assert email.lower() in shown.stdout.lower()
    done = program.run("erase", contact_id, env=env)
    assert done.code == 0, done
    assert done.stdout.startswith(f"Erased in {box.website_id}: 1 contact")
    assert email.lower() not in (done.stdout + done.stderr).lower()
    assert count(database_url, erased_identities) > 0
    assert program.run("sync", "--full", "--wait", env=env).code == 0
    assert fetch(database_url, select(contacts.c.id).where(contacts.c.email == email)) == []
    for verb in ("erase", "person"):
        gone = program.run(verb, contact_id, env=env)
        assert gone.code != 0, gone
        assert_one_sentence(gone.stderr)


def test_erasing_by_address(program: Program, sqlite_url: str, box: Box) -> None:
    env = box.pulled(sqlite_url)
    _, email = somebody(sqlite_url)
    done = program.run("erase", "--email", f" {email.upper()} ", env=env)
    assert done.code == 0, done
    assert fetch(sqlite_url, select(contacts.c.id).where(contacts.c.email == email)) == []


@pytest.mark.parametrize(
    "told", [(), ("c-1", "--email", "a@b.example"), ("c-1",), ("--email", "no address"), ("\x01",)]
)
def test_a_wrong_erasure_erases_nothing(
    program: Program, sqlite_url: str, told: tuple[str, ...]
) -> None:
    env = {"DATABASE_URL": sqlite_url}
    assert program.run("migrate", env=env).code == 0
    done = program.run("erase", *told, env=env)
    assert done.code != 0
    assert_one_sentence(done.stderr)
    assert count(sqlite_url, erased_identities) == 0
    assert count(sqlite_url, audit_log) == 0


def test_a_file_that_cannot_be_written(program: Program, sqlite_url: str, box: Box) -> None:
    env = box.pulled(sqlite_url)
    contact_id, _ = somebody(sqlite_url)
    nowhere = os.fspath(Path("no") / "such" / "folder.json")
    is_refused(program.run("person", contact_id, "--out", nowhere, env=env), "cannot be written")
