"""What a script sees: exit codes, one sentence on stderr, progress in lines (CONTRACT, Commands)."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select, update

from app.sandbox.installs import uninstall
from app.sandbox.message_changes import send_message
from app.sync.tables import sync_failures, sync_runs
from app.websites.tables import websites
from tests.beside import assert_one_sentence, change, fetch, runs, sandbox_beside, states
from tests.fixtures.program import Program


def test_0_done(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        done = program.run("sync", "--full", "--wait", env=env)
        assert (done.code, done.stderr) == (0, "")
        assert len(done.stdout.splitlines()) == 1


def test_1_failed(program: Program, database_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(database_url, CRISP_KEY="wrong")
        failed = program.run("sync", "--full", "--wait", env=env)
        assert failed.code == 1
        assert_one_sentence(failed.stderr)
        assert "CRISP_KEY" in failed.stderr
        assert states(database_url) == [("full", "failed")]


def test_2_refused(program: Program, sqlite_url: str) -> None:
    refused = program.run("sync", "--full", env={"DATABASE_URL": sqlite_url})
    assert refused.code == 2
    assert refused.stdout == ""
    assert_one_sentence(refused.stderr)


@pytest.mark.parametrize(
    "arguments", [["sink"], ["sync", "--all"], ["connect"], ["serve", "--port", "99999"]]
)
def test_2_wrong_use(program: Program, arguments: list[str]) -> None:
    refused = program.run(*arguments)
    assert refused.code == 2
    assert refused.stdout == ""
    assert "Usage: crispsync" in refused.stderr
    assert not list(program.folder.iterdir())


def test_2_uninstalled_in_the_middle(program: Program, database_url: str) -> None:  # SPEC C4
    with sandbox_beside() as box:
        env = box.connected(database_url)
        uninstall(box.world, box.world.main)
        stopped = program.run("sync", "--full", "--wait", env=env)
        assert stopped.code == 2
        assert_one_sentence(stopped.stderr)
        (website,) = fetch(database_url, select(websites))
        assert website.status == "uninstalled"
        again = program.run("sync", "--full", "--website", box.website_id, env=env)
        assert again.code == 2
        assert "no longer installed" in again.stderr


def test_3_a_record_that_cannot_be_kept(program: Program, database_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(database_url)
        send_message(box.world, box.world.main, 5, "poison", fingerprint=2**70)
        partial = program.run("sync", "--full", "--wait", env=env)
        assert partial.code == 3
        session = box.world.main.session_id(5)
        (told,) = partial.stderr.splitlines()
        assert told.startswith(f"failed: message {session}/1")
        assert told.endswith(": its fingerprint is no 64-bit number")
        assert ": partial. " in partial.stdout
        assert "1 failed" in partial.stdout
        (failure,) = fetch(database_url, select(sync_failures))
        assert failure.external_id in told


def test_3_a_conversation_that_crisp_refuses(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        session = box.world.main.session_id(7)
        box.world.faults.add("status", status=400, match=f"{session}/messages")
        partial = program.run("sync", "--full", "--wait", env=env)
        assert partial.code == 3
        assert partial.stderr.startswith(f"failed: conversation {session}: ")
        # The next run tries it again.
        box.world.faults.clear()
        assert program.run("sync", "--full", "--wait", env=env).code == 0
        box.assert_equals_truth(sqlite_url)


def test_4_share_of_the_day_used_up(program: Program, database_url: str) -> None:  # SPEC S6
    with sandbox_beside() as box:
        env = box.connected(database_url, CRISP_DAILY_QUOTA="30")
        paused = program.run("sync", "--full", "--wait", env=env)
        assert paused.code == 4
        assert_one_sentence(paused.stderr)
        assert "after 00:00 UTC" in paused.stderr
        assert ": paused. " in paused.stdout
        assert box.world.counters.total <= 30
        (run,) = runs(database_url)
        assert run["state"] == "paused"
        tomorrow = (datetime.now(UTC) + timedelta(days=1)).date()
        assert run["resume_at"].date() in {tomorrow, tomorrow - timedelta(days=1)}
        assert run["resume_at"].time().isoformat() == "00:00:00"


@pytest.mark.parametrize("retry_after", [7200, None])
def test_4_crisp_says_so(program: Program, sqlite_url: str, retry_after: int | None) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        box.world.faults.add("status", status=423, retry_after=retry_after, after=20)
        paused = program.run("sync", "--full", "--wait", env=env)
        assert paused.code == 4
        assert_one_sentence(paused.stderr)
        assert "quota" in paused.stderr
        shown = program.run("status", env=env)
        assert "Nobody asks Crisp before" in shown.stdout
        # Nor does anybody else who uses the credential: nothing is asked before.
        asked = box.world.counters.total
        refused = program.run("connect", list(box.world.sites)[1], env=env)
        assert refused.code == 4
        assert_one_sentence(refused.stderr)
        assert box.world.counters.total == asked


def test_4_goes_on_where_it_stopped(program: Program, database_url: str) -> None:  # SPEC S5
    with sandbox_beside() as box:
        env = box.connected(database_url, CRISP_DAILY_QUOTA="50")
        assert program.run("sync", "--full", "--wait", env=env).code == 4
        (run,) = runs(database_url)
        # Asking again attaches to the paused run, whose time has not come.
        assert program.run("sync", "--full", "--wait", env=env).code == 4
        assert [one["id"] for one in runs(database_url)] == [run["id"]]
        # The next day.
        change(database_url, update(sync_runs).values(resume_at=datetime.now(UTC)))
        env |= {"CRISP_DAILY_QUOTA": "100000"}
        assert program.run("sync", "--full", "--wait", env=env).code == 0
        assert [(one["id"], one["state"]) for one in runs(database_url)] == [(run["id"], "done")]
        box.assert_equals_truth(database_url)


def test_worst_code_of_several_websites(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        other = list(box.world.sites)[1]
        assert program.run("connect", other, env=env).code == 0
        send_message(box.world, box.world.sites[other], 5, "poison", fingerprint=2**70)
        worst = program.run("sync", "--full", "--wait", env=env)
        assert worst.code == 3
        assert sorted(states(sqlite_url)) == [("full", "done"), ("full", "partial")]


def test_progress_in_plain_lines(program: Program, sqlite_url: str) -> None:
    with sandbox_beside() as box:
        env = box.connected(sqlite_url)
        box.world.faults.add("slow", delay_ms=5500, count=1, route="*/messages")
        done = program.run("sync", "--full", "--wait", env=env)
        assert done.code == 0
        assert done.stderr == ""
        assert done.progress
        for line in done.progress:
            assert re.fullmatch(
                r"full \w{8}: [\d,]+ people, [\d,]+ conversations, [\d,]+ messages\n", line
            )
