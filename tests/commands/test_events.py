"""`crispsync events` and the hooks of `crispsync status`, as a script sees them (CONTRACT, Commands)."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.webhooks.tables import hook_days, hook_refusals, inbox_events
from app.websites.tables import websites
from tests.beside import assert_one_sentence, change, fetch
from tests.fixtures.program import Program

SITE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"
OTHER = "1f0f5b8e-3c55-4c0a-9a5d-6f2f9d1f7a11"
NOW = datetime.now(UTC).replace(microsecond=0)


def put(url: str, key: str, **given: Any) -> str:
    row = {
        "id": hashlib.sha256(key.encode()).hexdigest(), "website_id": SITE, "event": "message:send",
        "state": "dead", "attempts": 5, "deliveries": 1, "error": "It did not fit.",
        "received_at": NOW - timedelta(hours=1), "body": b'{"event":"message:send","data":{}}',
        **given,
    }  # fmt: skip
    change(url, insert(inbox_events).values(row))
    return str(row["id"])


def states(url: str) -> dict[str, str]:
    rows = fetch(url, select(inbox_events.c.id, inbox_events.c.state))
    return {row.id: row.state for row in rows}


def listed(program: Program, env: dict[str, str], *arguments: str) -> list[str]:
    done = program.run("events", "list", "--json", *arguments, env=env)
    assert (done.code, done.stderr) == (0, "")
    return [event["id"] for event in json.loads(done.stdout)]


def test_list(program: Program, database_url: str) -> None:
    env = {"DATABASE_URL": database_url}
    assert program.run("events", "list", env=env).stdout == "No event fits.\n"
    old = put(database_url, "old", received_at=datetime(2026, 3, 1, 12, tzinfo=UTC))
    new = put(database_url, "new", state="new", error=None, website_id=OTHER)
    bind = put(database_url, "bind", event="people:bind:session", received_at=NOW)
    assert listed(program, env) == [bind, new, old]
    assert listed(program, env, "--state", "dead") == [bind, old]
    assert listed(program, env, "--event", "people:bind:session") == [bind]
    assert listed(program, env, "--website", OTHER) == [new]
    assert listed(program, env, "--limit", "1") == [bind]
    # The day that is named is whole, and a time may be named too.
    assert listed(program, env, "--since", "2026-03-01", "--until", "2026-03-01") == [old]
    assert listed(program, env, "--since", "2026-03-01T12:30", "--until", "2026-03-02") == []
    shown = program.run("events", "list", env=env)
    assert (shown.code, shown.stderr) == (0, "")
    assert len(shown.stdout.splitlines()) == 4
    assert "It did not fit." in shown.stdout


def test_one_with_what_may_be_seen(program: Program, sqlite_url: str) -> None:  # SPEC P7
    env = {"DATABASE_URL": sqlite_url}
    body = json.dumps({"event": "message:send", "data": {"content": "a secret"}}).encode()
    key = put(sqlite_url, "one", body=body)
    document = program.run("events", "list", "--id", key, "--json", env=env)
    assert json.loads(document.stdout)["body"]["data"] == {"content": "‹text, 8 characters›"}
    shown = program.run("events", "list", "--id", key.upper(), env=env)
    assert "‹text, 8 characters›" in shown.stdout
    assert "a secret" not in shown.stdout + document.stdout
    broken = put(sqlite_url, "broken", body=b"\xff")
    shown = program.run("events", "list", "--id", broken, env=env)
    assert '"begins": "ff"' in shown.stdout
    gone = put(sqlite_url, "gone", body=None)
    assert "no longer kept" in program.run("events", "list", "--id", gone, env=env).stdout


def test_replay(program: Program, database_url: str) -> None:
    env = {"DATABASE_URL": database_url}
    one, two, done, other = (
        put(database_url, "one"), put(database_url, "two", body=None),
        put(database_url, "done", state="done"), put(database_url, "other", website_id=OTHER),
    )  # fmt: skip
    first = program.run("events", "replay", "--id", one, env=env)
    assert (first.code, first.stderr) == (0, "")
    assert first.stdout == "1 put back to be applied again.\n"
    again = program.run("events", "replay", "--id", one, env=env)
    assert (again.code, again.stdout[:23]) == (0, "Nothing was put back; w")
    dead = program.run("events", "replay", "--state", "dead", "--website", SITE, "--json", env=env)
    assert json.loads(dead.stdout) == {"replayed": 0, "without_body": 1}
    assert states(database_url) == {one: "new", two: "dead", done: "done", other: "dead"}
    today = NOW.date().isoformat()
    since = (NOW - timedelta(days=1)).date().isoformat()
    ranged = program.run("events", "replay", "--since", since, "--until", today, env=env)
    assert ranged.code == 0
    assert "2 put back" in ranged.stdout
    assert "1 left as they are" in ranged.stdout
    assert states(database_url) == {one: "new", two: "dead", done: "new", other: "new"}


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--website", SITE],
        ["--event", "message:send"],
        ["--id", "0" * 64],
        ["--id", "\udcff"],
        ["--id", "GONE"],
        ["--id", "GONE", "--state", "dead"],
        ["--since", "May"],
        ["--since", "2026-01-31T99:00"],
        ["--since", "2026-02-01", "--until", "2026-01-31"],
        ["--state", "dead", "--website", "acme"],
    ],
)
def test_2_refused(program: Program, sqlite_url: str, arguments: list[str]) -> None:
    key = put(sqlite_url, "gone", body=None)
    arguments = [key if text == "GONE" else text for text in arguments]
    refused = program.run("events", "replay", *arguments, env={"DATABASE_URL": sqlite_url})
    assert (refused.code, refused.stdout) == (2, "")
    assert_one_sentence(refused.stderr)
    assert states(sqlite_url) == {key: "dead"}


@pytest.mark.parametrize(
    "arguments",
    [["replay", "--state", "new"], ["list", "--state", "gone"], ["list", "--limit", "0"]],
)
def test_2_wrong_use(program: Program, arguments: list[str]) -> None:
    refused = program.run("events", *arguments)
    assert (refused.code, refused.stdout) == (2, "")
    assert "Usage: crispsync events" in refused.stderr


def test_status_without_hooks_says_where_they_go(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url, "PUBLIC_URL": "https://sync.acme.example"}
    shown = program.run("status", env=env)
    assert "Crisp is to send them to https://sync.acme.example/webhooks/crisp" in shown.stdout


def test_status_of_hooks(program: Program, database_url: str) -> None:  # SPEC T2
    env = {"DATABASE_URL": database_url}
    site = {
        "id": SITE, "name": "Acme", "status": "connected", "connected_at": NOW, "generation": 1,
        "import_people": True, "import_conversations": True, "import_notes": True,
        "import_custom_data": False, "mapping": {}, "time_zone": "UTC",
    }  # fmt: skip
    change(database_url, insert(websites).values(site))
    put(database_url, "dead", received_at=NOW - timedelta(hours=9))
    put(database_url, "done", state="done", received_at=NOW - timedelta(hours=7))
    refusal = {"cause": "wrong signature", "refused": 12, "last_at": NOW}
    change(database_url, insert(hook_refusals).values(refusal))
    for back in range(1, 9):
        at = NOW - timedelta(days=back)
        day = {
            "website_id": SITE, "event": "message:send", "day": at.date().isoformat(),
            "arrived": 100, "ignored": 0, "dead": 0, "repeated_first": 0, "delays": {},
            "last_received_at": at,
        }  # fmt: skip
        change(database_url, insert(hook_days).values(day))
        put(database_url, f"day {back}", state="done", received_at=at)
    last = NOW - timedelta(hours=24)
    found = json.loads(program.run("status", "--json", env=env).stdout)
    assert found["hooks"]["waiting"] == 0
    assert found["hooks"]["dead"] == 1
    assert found["hooks"]["refused"] == 12
    assert datetime.fromisoformat(found["hooks"]["last_received_at"]) == NOW - timedelta(hours=7)
    assert datetime.fromisoformat(found["websites"][0]["hooks_silent_since"]) == last
    waiting = put(database_url, "waiting", state="new", received_at=NOW)
    shown = program.run("status", env=env).stdout
    assert "1 waiting" in shown
    assert "1 dead" in shown
    assert "12 refused" in shown
    assert "silent" not in shown
    assert waiting in states(database_url)
