"""Logs hold ids, counts and states; never text, addresses or tokens."""

import ast
import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from app import clock
from app.db.session import open_database
from app.logs import ALLOWED, CHATTY, WARNED, configure_logs
from app.sandbox.serve import serve
from app.sandbox.world import World
from app.settings import Settings
from app.sync.runs import request_run
from app.sync.worker import Worker
from app.webhooks.hooks import read_hook
from app.websites.connect import Installed, save_connected
from tests.hooking import hook, hooked
from tests.ingesting import WEBSITE, Site

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True)
def ordinary_logs() -> Iterator[None]:
    """Leave the configuration of this process as it was."""
    levels = {name: logging.getLogger(name).level for name in CHATTY}
    yield
    structlog.reset_defaults()
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_case_099_fields_outside_the_list_are_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(as_json=True)
    structlog.get_logger().warning(
        "sync.ended", run_id="r1", state="done", body="my card is 4471", email="ann@acme.example"
    )
    line = json.loads(capsys.readouterr().err)
    assert line.keys() <= ALLOWED
    assert line["run_id"] == "r1"
    assert "4471" not in str(line)
    assert "ann@" not in str(line)


async def test_case_099_what_a_hook_calls_its_website_is_not_logged(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither where it is read nor where it is applied; an id is."""
    configure_logs(as_json=True)
    db = open_database(database_url)
    for website_id in (SECRET, WEBSITE):
        nameless = json.dumps({"website_id": website_id, "event": None}).encode()
        read_hook(nameless, b"0", b"1", clock.now())
        await save_connected(db, Installed(website_id, "Acme", None))
        await hooked(Site(db, website_id), hook("message:send", website_id=website_id))
    await db.close()
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    dead = [line for line in lines if line["event"] == "hook.dead"]
    assert [line.get("website_id") for line in dead] == [None, None, WEBSITE, WEBSITE]
    assert SECRET not in str(lines)


SECRET = "my card is 4471-4471"


def stumble() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise ExceptionGroup(SECRET, [KeyError(SECRET)]) from error


def test_case_099_an_exception_tells_where_and_never_what(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(as_json=True)
    try:
        stumble()
    except ExceptionGroup:
        structlog.get_logger().exception("privacy.stumbled")
        logging.getLogger("arq.worker").exception("%s failed, %s", "hooks", SECRET)
    told = capsys.readouterr().err
    assert SECRET not in told.replace("(SECRET)", "")
    for line in map(json.loads, told.splitlines()):
        assert line.keys() <= ALLOWED
        for part in ("test_logs.py", "in stumble", "ExceptionGroup", "builtins.ValueError", "builtins.KeyError"):  # fmt: skip
            assert part in line["exception"]
        assert line["error"] == "ExceptionGroup"
    assert '"logger": "arq.worker"' in told


def test_warnings_are_counted_by_their_class_and_libraries_by_their_name() -> None:
    """Labels of /metrics: as many as the program has lines, whatever libraries say."""
    configure_logs(as_json=True)
    before = WARNED.copy()
    try:
        stumble()
    except ExceptionGroup:
        structlog.get_logger().exception("privacy.stumbled")
    structlog.get_logger().warning("hooks.wait", error="DatabaseAway")
    structlog.get_logger().info("request")
    for number in range(2):
        logging.getLogger("a.library").warning(f"number {number}")  # noqa: G004  # some do
    assert WARNED - before == {
        ("privacy.stumbled", "ExceptionGroup"): 1,
        ("hooks.wait", "DatabaseAway"): 1,
        ("a.library", ""): 2,
    }


async def test_case_099_a_task_that_failed_unseen_tells_where(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logs(as_json=True)

    async def broken() -> None:
        raise ValueError(SECRET)

    task = asyncio.ensure_future(broken())
    await asyncio.wait({task})
    del task
    gc.collect()
    (line,) = map(json.loads, capsys.readouterr().err.splitlines())
    assert (line["event"], line["logger"]) == ("Task exception was never retrieved", "asyncio")
    assert "builtins.ValueError" in line["exception"]
    assert SECRET not in str(line)


def calls_of_log() -> Iterator[tuple[str, ast.Call]]:
    for path in (path for folder in ("app", "workers") for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            of = node.func if isinstance(node, ast.Call) else None
            if isinstance(of, ast.Attribute) and isinstance(of.value, ast.Name):
                assert isinstance(node, ast.Call)
                if of.value.id == "log":
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", node


def test_case_099_every_field_that_is_logged_is_on_the_list() -> None:
    """A field that is dropped in silence is a line that does not say what its writer meant."""
    found = list(calls_of_log())
    assert len(found) > 40
    for where, call in found:
        named = {keyword.arg for keyword in call.keywords}
        assert None not in named, f"{where}: name the fields one by one instead of **"
        unknown = named - ALLOWED
        assert not unknown, f"{where}: {unknown} would be dropped; see ALLOWED in app/logs.py"


async def test_case_099_addresses_of_requests_are_not_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    configure_logs(as_json=True)
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    with caplog.at_level(logging.INFO):
        async with httpx.AsyncClient(transport=transport) as client:
            await client.get("https://api.example/people/profile/ann@acme.example")
    assert "ann@" not in caplog.text


async def test_case_099_a_pull_logs_no_text_of_people(
    sqlite_url: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """SPEC P7: with errors on the way, and everything that any library says at INFO."""
    configure_logs(as_json=True)
    world = World(3, 60, 60, others=())
    world.faults.add("status", status=503, count=3)
    db = open_database(sqlite_url)
    with caplog.at_level(logging.INFO):
        async with serve(world) as url:
            settings = Settings(
                database_url=sqlite_url,
                crisp_api_url=url,
                crisp_identifier=world.identifier,
                crisp_key=world.key,
                crisp_daily_quota=100_000,
            )
            await save_connected(db, Installed(world.website_id, "Acme", None))
            await request_run(db, world.website_id, "full", started_by="test")
            worker = Worker(db, settings)
            await worker.work_off()
            await worker.close()
    await db.close()
    logged = capsys.readouterr().err + caplog.text
    assert '"event": "sync.ended"' in logged
    assert '"state": "done"' in logged
    for secret in (world.key, world.identifier):
        assert secret not in logged
    for person in (world.main.profile(p) for p in range(60)):
        for text in (person.get("email"), (person.get("person") or {}).get("nickname")):
            assert not text or len(text) < 4 or text not in logged


async def test_case_099_database_errors_do_not_quote_values(database_url: str) -> None:
    db = open_database(database_url)
    try:
        async with db.write() as connection:
            with pytest.raises(Exception, match="INSERT") as caught:
                await connection.exec_driver_sql(
                    "INSERT INTO no_such_table VALUES ('x')"
                    if db.is_sqlite
                    else "INSERT INTO no_such_table VALUES (%(text)s)",
                    {} if db.is_sqlite else {"text": "my card is 4471"},
                )
            assert "4471" not in str(caught.value)
    finally:
        await db.close()
