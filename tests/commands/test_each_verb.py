"""Every verb does what CONTRACT says, as a process of its own."""

import json
import re
import signal
from importlib.metadata import version

import httpx
from sqlalchemy import select, update

from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.crisp.tables import quota_usage
from app.sandbox.message_changes import send_message
from app.sync.tables import sync_runs
from app.websites.tables import websites
from tests.beside import (
    change,
    contents,
    fetch,
    rows_of,
    runs,
    sandbox_beside,
    states,
    stored_conversations,
    until,
)
from tests.fixtures.program import Program


def test_version_and_help(program: Program) -> None:
    assert version("crispsync") in program.run("--version").stdout
    told = program.run("--help").stdout
    for verb in ("migrate", "connect", "disconnect", "websites", "sync", "backfill", "status"):
        assert verb in told


def test_migrate(program: Program, fresh_database_url: str) -> None:
    env = {"DATABASE_URL": fresh_database_url}
    first, second = program.run("migrate", env=env), program.run("migrate", env=env)
    assert (first.code, first.stdout) == (0, "The database is up to date now.\n")
    assert (second.code, second.stdout) == (0, "The database was up to date.\n")
    assert not any(contents(fresh_database_url).values())


def test_default_database_is_a_file_in_data(program: Program) -> None:
    assert program.run("migrate").code == 0
    assert (program.folder / "data/crispsync.db").exists()


def test_connect_shows_in_websites(program: Program, database_url: str) -> None:  # SPEC C3
    with sandbox_beside() as box:
        env = box.env(database_url)
        assert "No website" in program.run("websites", env=env).stdout
        assert json.loads(program.run("websites", "--json", env=env).stdout) == []
        done = program.run("connect", f" {box.website_id.upper()} ", env=env)
        assert (done.code, done.stderr) == (0, "")
        assert box.website_id in done.stdout
        shown = program.run("websites", env=env)
        assert box.website_id in shown.stdout
        assert "Acme Support" in shown.stdout
        listed = program.run("websites", "--json", env=env)
        assert (listed.code, listed.stderr) == (0, "")
        (website,) = json.loads(listed.stdout)
        assert website["id"] == box.website_id
        assert website["status"] == "connected"
        assert website["domain"] == "acme-support.example"


def test_connecting_again_changes_nothing(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        before = fetch(sqlite_url, select(*_TOLD_ONCE))
        assert program.run("connect", box.website_id, env=env).code == 0
        assert fetch(sqlite_url, select(*_TOLD_ONCE)) == before


# When the installation was last confirmed is the only thing that changes.
_TOLD_ONCE = [column for column in websites.c if column.name != "installation_told_ms"]


def test_connect_finds_the_plugin_id_itself(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.env(sqlite_url, CRISP_PLUGIN_ID="")
        assert program.run("connect", box.website_id, env=env).code == 0


def test_full_sync_and_disconnect(program: Program, database_url: str) -> None:  # SPEC S1, C8
    with sandbox_beside() as box:
        env = box.connected(database_url)
        done = program.run("sync", "--full", "--website", box.website_id, "--wait", env=env)
        assert (done.code, done.stderr) == (0, "")
        assert re.search(r"full of \S+: done\. 30 people, \d+ conversations", done.stdout)
        box.assert_equals_truth(database_url)

        kept = rows_of(database_url, box.website_id)
        gone = program.run("disconnect", box.website_id, env=env)
        assert (gone.code, gone.stderr) == (0, "")
        assert rows_of(database_url, box.website_id) == kept
        assert [row.status for row in fetch(database_url, select(websites))] == ["disconnected"]
        refused = program.run("sync", "--full", "--website", box.website_id, env=env)
        assert refused.code == 2
        assert "connect it first" in refused.stderr

        box.connected(database_url)
        erased = program.run("disconnect", box.website_id, "--erase", env=env)
        assert (erased.code, erased.stderr) == (0, "")
        assert rows_of(database_url, box.website_id) == {}


def test_erasing_leaves_other_websites_alone(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        other = list(box.world.sites)[1]
        assert program.run("connect", other, env=env).code == 0
        done = program.run("sync", "--full", "--wait", env=env)
        assert done.code == 0, done.stderr
        kept = rows_of(sqlite_url, other)
        assert kept["messages"]
        erased = program.run("disconnect", box.website_id, "--erase", env=env)
        assert erased.code == 0, erased.stderr
        assert rows_of(sqlite_url, box.website_id) == {}
        assert rows_of(sqlite_url, other) == kept


def test_erasing_while_a_run_is_at_work(program: Program, migrated_postgres_url: str) -> None:
    url = migrated_postgres_url
    with sandbox_beside(conversations=3_000, delay_ms=20) as box:
        env = box.connected(url)
        pulling = program.start("sync", "--full", "--wait", env=env)
        until(lambda: stored_conversations(url) > 50)
        erased = program.run("disconnect", box.website_id, "--erase", env=env)
        assert erased.code == 0, erased.stderr
        assert pulling.wait() == 2
        assert "Traceback" not in pulling.output
        # Crisp was asked on behalf of the website until its run noticed; that stays counted, and
        # so do the requests that were about to be sent.
        assert set(rows_of(url, box.website_id)) <= {"quota_usage"}
        used = sum(row.used for row in fetch(url, select(quota_usage)))
        assert 0 <= used - box.world.counters.total <= 8


def test_disconnecting_while_a_run_is_at_work(program: Program, database_url: str) -> None:
    with sandbox_beside(conversations=3_000, delay_ms=20) as box:
        env = box.connected(database_url)
        pulling = program.start("sync", "--full", "--wait", env=env)
        until(lambda: stored_conversations(database_url) > 50)
        assert program.run("disconnect", box.website_id, env=env).code == 0
        assert pulling.wait() == 2
        assert "disconnected" in pulling.output
        assert states(database_url) == [("full", "cancelled")]


def test_sync_without_wait_only_asks(program: Program, database_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(database_url)
        box.world.counters.reset()
        first = program.run("sync", "--full", env=env)
        second = program.run("sync", "--full", env=env)
        assert (first.code, second.code) == (0, 0)
        (run,) = runs(database_url)
        assert (run["kind"], run["state"]) == ("full", "queued")
        # Asking again attaches to the same run (SPEC S5).
        assert first.stdout.split()[0] == second.stdout.split()[0] == run["id"]
        assert box.world.counters.total == 0


def test_waiting_attaches_to_the_queued_run(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        program.run("sync", "--full", env=env)
        assert program.run("sync", "--full", "--wait", env=env).code == 0
        assert states(sqlite_url) == [("full", "done")]


def test_incremental_sync(program: Program, database_url: str) -> None:  # SPEC S2
    with sandbox_beside() as box:
        env = box.pulled(database_url)
        send_message(box.world, box.world.main, 5, "A new question")
        done = program.run("sync", "--incremental", "--wait", env=env)
        assert done.code == 0, done.stderr
        assert states(database_url) == [("full", "done"), ("incremental", "done")]
        box.assert_equals_truth(database_url)


def test_backfill(program: Program, database_url: str) -> None:  # SPEC S3
    start = 1_790_000_000_000  # 2026-09-21
    with sandbox_beside(conversations=120, start_ms=start) as box:
        env = box.connected(database_url)
        window = ("--from", "2026-06-01", "--to", "2026-08-31")
        told = program.run("backfill", *window, "--preview", env=env)
        assert (told.code, told.stderr) == (0, "")
        found = re.search(
            r": (\d+) conversations, about (\d+) requests, ([\d.]+) days", told.stdout
        )
        assert found, told.stdout
        assert runs(database_url) == []

        done = program.run("backfill", *window, "--wait", env=env)
        assert done.code == 0, done.stderr
        stored = fetch(database_url, select(conversations.c.crisp_updated_at))
        assert len(stored) == int(found[1]) > 0
        days = {row.crisp_updated_at.date().isoformat() for row in stored}
        assert "2026-06-01" <= min(days) <= max(days) <= "2026-08-31"
        assert fetch(database_url, select(contacts)) == []
        assert states(database_url) == [("backfill", "done")]


def test_one_day_is_a_window(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        done = program.run("backfill", "--from", "2026-03-03", "--to", "2026-03-03", env=env)
        assert done.code == 0, done.stderr
        (run,) = runs(sqlite_url)
        assert (run["window_to"] - run["window_from"]).days == 1


def test_status(program: Program, database_url: str) -> None:
    with sandbox_beside() as box:
        env = box.pulled(database_url)
        shown = program.run("status", env=env)
        assert (shown.code, shown.stderr) == (0, "")
        assert "Acme Support" in shown.stdout
        assert "full: done" in shown.stdout
        document = program.run("status", "--json", env=env)
        assert (document.code, document.stderr) == (0, "")
        found = json.loads(document.stdout)
        (website,) = found["websites"]
        assert website["contacts"] == 30
        assert website["conversations"] == stored_conversations(database_url)
        assert website["messages_due"] == 0
        assert website["runs"][0]["state"] == "done"
        assert found["quota"]["used"] == box.world.counters.total
        assert found["quota"]["paused_until"] is None


def test_status_of_nothing(program: Program, sqlite_url: str) -> None:
    env = {"DATABASE_URL": sqlite_url}
    assert "crispsync connect WEBSITE_ID" in program.run("status", env=env).stdout
    assert json.loads(program.run("status", "--json", env=env).stdout)["websites"] == []


def test_status_tells_what_needs_attention(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        change(sqlite_url, update(websites).values(attention="Look at me."))
        assert "needs attention: Look at me." in program.run("status", env=env).stdout


def test_sandbox_tells_how_to_use_it(program: Program, sqlite_url: str) -> None:
    running = program.start("sandbox", "--port", "0", "--people", "5", "--conversations", "8")
    told = json.loads(running.wait_for_line(r"^\{.*\}$")[0])
    assert running.lines[0].startswith("{")
    env = {
        "DATABASE_URL": sqlite_url,
        "CRISP_API_URL": told["url"],
        "CRISP_IDENTIFIER": told["identifier"],
        "CRISP_KEY": told["key"],
        "CRISP_PLUGIN_ID": told["plugin_id"],
    }
    assert program.run("connect", told["website_id"], env=env).code == 0
    done = program.run("sync", "--full", "--wait", env=env)
    assert done.code == 0, done.stderr
    assert "5 people" in done.stdout
    assert len(told["signing_secret"]) >= 16
    assert running.stop() == 0


def test_serve_ends_cleanly(program: Program, sqlite_url: str) -> None:
    server = program.start("serve", "--port", "0", env={"DATABASE_URL": sqlite_url})
    url = server.wait_for_line(r"crispsync serves (http://127\.0\.0\.1:\d+)")[1]
    assert httpx.get(f"{url}/healthz").json() == {"status": "alive"}
    assert server.stop() in {0, -signal.SIGTERM}
    assert "Traceback" not in server.output


def test_serve_migrates(program: Program, fresh_database_url: str) -> None:
    server = program.start("serve", "--port", "0", env={"DATABASE_URL": fresh_database_url})
    url = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
    assert httpx.get(f"{url}/readyz").status_code == 200
    assert fetch(fresh_database_url, select(sync_runs)) == []
