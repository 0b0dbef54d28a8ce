"""Each cause: make the fault, see its sentence and what to do (SPEC T1)."""

from __future__ import annotations

import ast
import json
import os
import subprocess
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import delete, insert, text, update

from app import clock
from app.accounts.actors import COMMAND
from app.conversations.tables import messages
from app.crisp.quota import store_pause
from app.crisp.tables import quota_pauses
from app.db.changes import note_changes
from app.doctor.disk import look_at_disks
from app.doctor.findings import CAUSES, MEANT
from app.doctor.look import examine
from app.sandbox.installs import uninstall
from app.settings import Settings
from app.sync.connection import pause_connection
from app.sync.processes import beat
from app.sync.tables import working_processes
from app.sync.worker import Worker
from app.webhooks.refusals import Refusals
from app.webhooks.tables import inbox_events
from app.websites.connect import disconnect
from app.websites.credential import store_credential
from app.websites.tables import websites
from tests.beside import sandbox_beside
from tests.fixtures.program import SECRET_KEY, Program
from tests.flows import test_redis_faults
from tests.hooking import hook, row_of
from tests.pulling import Crispsync, sandbox_and_crispsync

OTHER_KEY = "another-0123456789-abcdefghijklmnopqrst"
OTHER_PLUGIN = "c64f3595-adee-425a-8d3a-89d47f7ed6bb"
OLD = timedelta(days=3)
MINUTE = 60_000


def settings_of(crisp: Crispsync, **given: Any) -> Settings:
    return Settings(
        **{
            "secret_key": SecretStr(SECRET_KEY),
            "crisp_api_url": crisp.url,
            "crisp_identifier": crisp.world.identifier,
            "crisp_key": SecretStr(crisp.world.key),
            "crisp_plugin_id": crisp.world.plugin_id,
            "crisp_signing_secret": SecretStr("secret"),
            "crisp_daily_quota": 1_000_000,
            "public_url": "https://sync.acme.example",
            **given,
        }
    )


async def works(crisp: Crispsync) -> None:
    worker = Worker(crisp.db, settings_of(crisp))
    await crisp.db.transact(lambda c: beat(c, worker, "worker-1"))


async def causes(crisp: Crispsync, **given: Any) -> set[str]:
    found = await examine(crisp.db, settings_of(crisp, **given), live=True)
    for one in found:
        assert one.sentence.endswith(".")
        assert one.remedy.endswith(".")
        assert one.evidence
        assert "secret" not in one.evidence.lower()
    return {one.cause for one in found}


async def set_website(crisp: Crispsync, **values: Any) -> None:
    async with crisp.db.write() as connection:
        await connection.execute(
            update(websites).where(websites.c.id == crisp.website_id).values(**values)
        )


async def ahead_of_crisp(crisp: Crispsync, ms: int) -> None:
    async with crisp.db.write() as connection:
        await connection.execute(
            update(working_processes).values(ahead_of_crisp_ms=ms, ahead_of_database_ms=0)
        )


async def test_a_website_that_is_in_order_has_no_finding_and_each_cause_its_own(
    database_url: str,
) -> None:
    async with sandbox_and_crispsync(database_url, people=4, conversations=4) as crisp:
        assert await causes(crisp) == {"worker_not_running"}
        await works(crisp)
        assert await causes(crisp) == set()
        faults = crisp.world.faults

        assert await causes(crisp, public_url="http://127.0.0.1:8000") == {"not_https"}
        assert await causes(crisp, crisp_signing_secret=None) == {"no_signing_secret"}
        assert await causes(crisp, crisp_key=None) == {"no_credential"}
        assert await causes(crisp, crisp_key=SecretStr("0" * 64)) == {"credential_rejected"}
        faults.add("status", status=503)
        assert await causes(crisp) == {"crisp_unreachable"}
        faults.clear()

        await set_website(crisp, import_conversations=False, import_people=False)
        assert await causes(crisp) == {"conversations_off", "people_off"}
        await set_website(crisp, import_conversations=True, import_people=True)
        await pause_connection(crisp.db, COMMAND, crisp.website_id)
        assert await causes(crisp) == {"paused"}
        await set_website(crisp, status="waiting")
        assert await causes(crisp) == {"waiting"}
        await set_website(crisp, status="connected", connected_at=clock.now() - OLD)
        assert await causes(crisp) == {"hooks_not_arriving"}
        await set_website(crisp, connected_at=clock.now())

        async with crisp.db.write() as connection:
            await connection.execute(
                update(working_processes).values(ahead_of_database_ms=-600_000)
            )
        assert await causes(crisp) == {"clock_off"}
        await works(crisp)
        await ahead_of_crisp(crisp, 59_000)
        assert await causes(crisp) == set()
        await ahead_of_crisp(crisp, 61_000)
        assert await causes(crisp) == {"clock_off"}
        await works(crisp)
        assert await causes(crisp, crisp_plugin_id=OTHER_PLUGIN) == {"credential_rejected"}

        refusals = Refusals(crisp.db)
        refusals.count("signature_wrong")
        await refusals.flush()
        assert await causes(crisp) == {"signature_failing"}
        async with crisp.db.write() as connection:
            await connection.execute(text("DELETE FROM hook_refusals"))

        other = "5b1c1d9e-2f0a-4f3b-8a7e-0c9d8e7f6a5b"
        body = hook("message:send", website_id=other)
        async with crisp.db.write() as connection:
            await connection.execute(insert(inbox_events).values(**row_of(body, state="parked")))
        assert await causes(crisp) == {"website_unknown"}
        async with crisp.db.write() as connection:
            await connection.execute(delete(inbox_events))

        faults.add("status", status=403, route="*/people/*")
        assert await crisp.run("full") == "failed"
        assert await causes(crisp) == {"scope_missing"}
        faults.clear()
        assert await crisp.run("full") == "done"
        assert await causes(crisp) == set()

        uninstall(crisp.world, crisp.world.main)
        assert await causes(crisp) == {"uninstalled"}
        await disconnect(crisp.db, crisp.website_id)
        assert await causes(crisp) == {"disconnected"}


async def test_whose_credential_and_which_clock_is_told(sqlite_url: str) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2) as crisp:
        await works(crisp)
        await ahead_of_crisp(crisp, -120_000)
        [clock_off] = await examine(crisp.db, settings_of(crisp))
        assert (clock_off.cause, clock_off.evidence) == (
            "clock_off",
            "worker-1 is 120 s behind Crisp's.",
        )
        await works(crisp)
        given = settings_of(crisp, crisp_plugin_id=OTHER_PLUGIN)
        [another] = await examine(crisp.db, given, live=True)
        assert another.cause == "credential_rejected"
        assert another.website_id is None
        for plugin_id in (OTHER_PLUGIN, crisp.world.plugin_id):
            assert plugin_id in another.evidence


async def test_quota_used_up(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2) as crisp:
        await works(crisp)
        credential, now = crisp.client.budget.credential, clock.now_ms()
        sentence = "Crisp's daily quota for this plugin is used up (423)."
        await crisp.db.transact(lambda c: store_pause(c, credential, now + 900_000, sentence, now))
        assert await causes(crisp) == {"quota_used_up"}
        await crisp.db.transact(lambda c: c.execute(delete(quota_pauses)))
        await crisp.client.budget.give_back()
        assert await causes(crisp) == set()
        used = crisp.world.counters.total
        given = settings_of(crisp, crisp_daily_quota=used)
        (found,) = await examine(crisp.db, given)
        assert (found.cause, found.evidence) == (
            "quota_used_up",
            f"{used} of {used} requests used today.",
        )
        assert await examine(crisp.db, settings_of(crisp, crisp_daily_quota=used + 1)) == []


async def test_case_087_what_cannot_be_decrypted(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2) as crisp:
        await works(crisp)
        entered = {"identifier": crisp.world.identifier, "key": crisp.world.key}
        given: Any = {"crisp_identifier": None, "crisp_key": None}
        settings = settings_of(crisp, **given)
        await crisp.db.transact(lambda c: store_credential(c, settings, COMMAND, entered))
        assert await causes(crisp, **given) == set()
        lost = {**given, "secret_key": SecretStr(OTHER_KEY)}
        assert await causes(crisp, **lost) == {"not_decryptable"}


async def test_a_list_of_erased_people_that_cannot_be_written(
    sqlite_url: str, tmp_path: Path
) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2) as crisp:
        await works(crisp)
        (tmp_path / "folder.list").mkdir()
        assert await causes(crisp, erased_file=tmp_path / "folder.list") == {"erased_list"}


async def test_what_an_audit_found_to_differ(database_url: str) -> None:  # SPEC S8
    async with sandbox_and_crispsync(
        database_url, people=4, conversations=6, frozen=True, others=()
    ) as crisp:
        await works(crisp)
        assert await crisp.run("full") == "done"
        crisp.world.clock.advance(10 * MINUTE)
        async with crisp.db.write() as connection:
            await connection.execute(update(messages).values(body="Tampered", content=None))
            note_changes(connection, "message", crisp.website_id, [])
        assert await causes(crisp) == set(), "nobody compared yet"

        assert await crisp.run("audit", sample={"sample": "all"}) == "done"
        assert await causes(crisp) == {"drift_found"}
        (found,) = await examine(crisp.db, settings_of(crisp))
        count = (await crisp.last_run()).counts["drifted"]
        assert count > 3
        assert found.sentence.startswith("The last audit found something that differed from Crisp")
        name = crisp.world.main.name
        assert found.evidence == f"{count} differed in {name}, {count} were repaired."
        assert (found.website_id, found.is_fault) == (crisp.website_id, True)

        assert await crisp.run("audit", sample={"sample": "all"}) == "done"
        assert await causes(crisp) == set(), "the newest audit counts"


async def test_a_hook_that_could_not_be_applied(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2) as crisp:
        await works(crisp)
        body = hook("message:send", website_id=crisp.website_id)
        async with crisp.db.write() as connection:
            await connection.execute(insert(inbox_events).values(**row_of(body, state="dead")))
        assert await causes(crisp) == {"dead_letters"}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_case_084_a_disk_that_is_nearly_full_is_found(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    settings = Settings(_env_file=None, uploads_folder=disk / "not yet")
    assert look_at_disks(settings) == []
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk], check=False)
    if mounted.returncode:
        pytest.skip("this machine does not let root mount")
    try:
        (found,) = look_at_disks(settings)
        assert (found.cause, found.evidence) == (
            "disk_low",
            "8 MB are left on the disk of uploads.",
        )
    finally:
        subprocess.run(["umount", disk], check=True)


async def test_a_failed_run(sqlite_url: str) -> None:
    async with sandbox_and_crispsync(sqlite_url, people=2, conversations=2) as crisp:
        await works(crisp)
        crisp.world.faults.add("status", status=400, route="*/conversations/*")
        assert await crisp.run("full") == "failed"
        crisp.world.faults.clear()
        assert await causes(crisp) == {"run_failed"}


async def test_a_database_that_is_behind(database_url: str) -> None:
    async with sandbox_and_crispsync(database_url, people=2, conversations=2) as crisp:
        async with crisp.db.write() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))
        assert await causes(crisp) == {"database_behind"}


def test_the_command_tells_and_exits_by_it(program: Program, sqlite_url: str) -> None:
    with sandbox_beside(people=2, conversations=2) as box:
        env = box.connected(sqlite_url, CRISP_SIGNING_SECRET="s", PUBLIC_URL="https://a.example")
        done = program.run("doctor", "--json", env=env)
        (found,) = json.loads(done.stdout)
        assert (done.code, found["cause"], found["fault"]) == (1, "worker_not_running", True)
        told = program.run("doctor", env=env)
        assert "Start crispsync worker" in told.stdout
        assert told.stderr == ""


@pytest.mark.parametrize("cause", CAUSES)
def test_every_cause_is_a_sentence_with_a_remedy(cause: str) -> None:
    assert CAUSES[cause].sentence.endswith(".")
    assert CAUSES[cause].remedy.endswith(".")
    assert CAUSES.keys() >= MEANT


def test_every_cause_has_a_test_that_makes_its_fault() -> None:
    """A cause is told by what `examine` found: in an assertion here, or as a fault of Redis."""
    told = set(_texts_of(Path(__file__), ast.Assert))
    told |= set(_texts_of(Path(test_redis_faults.__file__), ast.Assert, ast.Call))
    assert CAUSES.keys() - told == set()


def _texts_of(file: Path, *kinds: type[ast.AST]) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, kinds):
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    yield part.value
