"""`crispsync audit`: what was damaged by hand is found, repaired and told, and nothing else (SPEC S8)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy import ColumnElement, and_, delete, select, update

from app.conversations.tables import conversations, messages
from app.records import conversation_id
from app.sync.tables import audit_findings
from tests.beside import Box, assert_one_sentence, change, fetch, runs, sandbox_beside, states
from tests.fixtures.program import Finished, Program

MINUTE = 60_000
EVERYTHING = ("audit", "--sample", "all", "--wait")


def fingerprints(box: Box, i: int) -> list[int]:
    site = box.world.main
    return [body["fingerprint"] for body in site.spell_out(i, site.rows(i))]


def threads(box: Box) -> list[int]:
    """Conversations that nothing happened in for an hour, with some messages."""
    site, young = box.world.main, box.world.clock.now() - 60 * MINUTE
    return [
        i
        for i in sorted(site.by_update.numbers())
        if site.updated_at(i) < young and 4 <= len(fingerprints(box, i)) <= 30
    ]


def damage(box: Box, url: str) -> set[tuple[str, str, str, str]]:
    """Three messages deleted, one changed, a conversation lost: (kind, Crisp's id, what, missed by)."""
    site, m = box.world.main, messages.c
    first, second, third = threads(box)[:3]
    lost = conversation_id(box.website_id, site.session_id(third))

    def at(i: int, n: int) -> ColumnElement[bool]:
        own = conversation_id(box.website_id, site.session_id(i))
        return and_(m.conversation_id == own, m.fingerprint == fingerprints(box, i)[n])

    def name(i: int, n: int) -> str:
        return f"{site.session_id(i)}/{fingerprints(box, i)[n]}"

    deleted = [(first, 0), (first, 2), (second, 1)]
    statements: Sequence[Any] = [
        *(delete(messages).where(at(i, n)) for i, n in deleted),
        update(messages).where(at(second, 2)).values(body="Tampered", content=None),
        delete(messages).where(m.conversation_id == lost),
        delete(conversations).where(conversations.c.id == lost),
    ]
    for statement in statements:
        change(url, statement)
    whole = [(third, n) for n in range(len(fingerprints(box, third)))]
    return {
        *(("message", name(i, n), "missing", "full") for i, n in deleted + whole),
        ("message", name(second, 2), "changed", "hook"),
        ("conversation", site.session_id(third), "missing", "full"),
    }


def differed(done: Finished) -> list[str]:
    return [line for line in done.stdout.splitlines() if line.startswith("differed: ")]


WORDS = {
    ("missing", "full"): "missing here, missed by full sync, repaired",
    ("changed", "hook"): "different here, missed by web hook, repaired",
}


def test_an_audit_of_everything_repairs_exactly_what_was_damaged_by_hand(
    program: Program, database_url: str
) -> None:
    with sandbox_beside(people=20, conversations=40, others=()) as box:
        box.world.clock.advance(10 * MINUTE)
        env = box.pulled(database_url)
        damaged = damage(box, database_url)
        with pytest.raises(AssertionError):
            box.assert_equals_truth(database_url)

        done = program.run(*EVERYTHING, env=env)
        assert (done.code, done.stderr) == (0, "")
        found = fetch(database_url, select(audit_findings))
        assert {(f.kind, f.external_id, f.what, f.missed_by) for f in found} == damaged
        assert {f.repaired for f in found} == {True}
        assert sorted(differed(done)) == sorted(
            f"differed: {kind} {external_id}: {WORDS[what, path]}"
            for kind, external_id, what, path in damaged
        )
        (line,) = set(done.stdout.splitlines()) - set(differed(done))
        n = len(damaged)
        assert re.fullmatch(
            rf"audit of {box.website_id}: done\. .*, {n} differed, {n} of them repaired; \d+ requests\.",
            line,
        )
        box.assert_equals_truth(database_url)

        again = program.run(*EVERYTHING, env=env)
        assert (again.code, again.stderr) == (0, "")
        assert differed(again) == []
        assert ", 0 differed, 0 of them repaired; " in again.stdout
        assert len(fetch(database_url, select(audit_findings))) == n
        assert states(database_url) == [("full", "done"), ("audit", "done"), ("audit", "done")]
        box.assert_equals_truth(database_url)


def test_an_audit_without_wait_is_queued_with_its_sample(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(people=3, conversations=3, others=()) as box:
        env = box.pulled(sqlite_url, CRISP_DAILY_QUOTA="5000")
        box.world.counters.reset()
        done = program.run("audit", "--sample", "12", env=env)
        assert (done.code, done.stderr) == (0, "")
        run = runs(sqlite_url)[-1]
        assert done.stdout.startswith(run["id"])
        assert (run["kind"], run["state"]) == ("audit", "queued")
        assert run["checkpoint"] == {"sample": 12}
        assert box.world.counters.total == 0


def test_an_audit_of_nothing_named_takes_the_daily_sample(
    program: Program, sqlite_url: str
) -> None:
    with sandbox_beside(people=3, conversations=3, others=()) as box:
        env = box.pulled(sqlite_url, CRISP_DAILY_QUOTA="5000", AUDIT_QUOTA_PERCENT="2")
        done = program.run("audit", env=env)
        assert done.code == 0, done.stderr
        assert runs(sqlite_url)[-1]["checkpoint"] == {"sample": 93, "requests_at_most": 100}


@pytest.mark.parametrize("sample", ["0", "-1", "some", "100001", "1.5", "٣"])
def test_a_sample_that_is_no_number_is_refused(
    program: Program, sqlite_url: str, sample: str
) -> None:
    with sandbox_beside(people=2, conversations=2, others=()) as box:
        env = box.connected(sqlite_url)
        refused = program.run("audit", f"--sample={sample}", env=env)
        assert (refused.code, refused.stdout) == (2, "")
        assert_one_sentence(refused.stderr)
        assert f"--sample {sample} is neither all nor a number" in refused.stderr
        assert runs(sqlite_url) == []
