"""A process that is killed while a file comes in, is planned, committed or undone (SPEC I8, I9)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select

from app.accounts.actors import COMMAND
from app.accounts.tokens import create_token
from app.companies.tables import companies, company_aliases
from app.contacts.tables import contact_emails, contacts
from app.imports.columns import ColumnMap
from app.imports.steps import Choice, ask_commit, ask_plan, ask_undo
from app.imports.tables import import_rows, imports
from tests.beside import fetch, until
from tests.fixtures.program import Program, Running
from tests.imports.importing import MEMBER, Importing, adds_up, importing
from tests.ingesting import connected

ROWS = 5_000
COLUMNS = [
    ColumnMap("email", "email"),
    ColumnMap("name", "name"),
    ColumnMap("n", "data.n", "integer"),
]
# Each hundredth is no address, and each thousandth the one before again.
FILE = "email,name,n\n" + "".join(
    f"p{n - (n % 1000 == 999)}@x.example,Person {n},{n}\n"
    if n % 100
    else f"nobody,Person {n},{n}\n"
    for n in range(ROWS)
)
BAD = ROWS // 100 + ROWS // 1000
GOOD = ROWS - BAD


def started(program: Program, env: dict[str, str]) -> Running:
    server = program.start("serve", "--port", "0", env=env)
    server.wait_for_line(r"crispsync serves")
    return server


def killed_in(program: Program, env: dict[str, str], url: str, state: str) -> dict[str, Any]:
    """Kill a process that has done a part of it, and let another one end it; the import then."""
    server = started(program, env)

    def is_at_work() -> bool:
        (row,) = fetch(url, select(imports.c.state, imports.c.checkpoint))
        assert row.state == state, "the kill comes before its end"
        return any(row.checkpoint.get(name) for name in ("line", "done", "before"))

    until(is_at_work)
    server.kill()
    (left,) = fetch(url, select(imports.c.state, imports.c.checkpoint))
    assert left.state == state
    server = started(program, env)
    (row,) = until(lambda: [r for r in fetch(url, select(imports)) if r.state != state], 120)
    server.stop()
    return dict(row._mapping)


def asked(url: str, folder: Path, ask: Callable[[Importing], Awaitable[Any]]) -> None:
    async def work() -> None:
        async with importing(url, folder) as site:
            await ask(site)

    asyncio.run(work())


# SPEC I8, I9
def test_kill_9_at_each_step(program: Program, database_url: str, tmp_path: Path) -> None:
    env = {
        "DATABASE_URL": database_url,
        "LEASE_SECONDS": "1",
        "UPLOADS_FOLDER": str(tmp_path / "uploads"),
    }

    async def plan(site: Importing) -> None:
        import_id = await site.begin(FILE)
        await ask_plan(site.db, site.id, import_id, Choice(COLUMNS, "merge", {}), MEMBER)

    asked(database_url, tmp_path, plan)
    planned = killed_in(program, env, database_url, "planning")
    assert_whole(database_url, planned, "planned", {"planned": ROWS}, 0)

    async def commit(site: Importing) -> None:
        await ask_commit(site.db, site.id, planned["id"], planned["plan_hash"], MEMBER)

    asked(database_url, tmp_path, commit)
    done = killed_in(program, env, database_url, "committing")
    assert done["counts"]["created"] == GOOD
    assert_whole(database_url, done, "done", {"applied": GOOD, "planned": BAD}, GOOD)

    async def undo(site: Importing) -> None:
        await ask_undo(site.db, site.id, planned["id"], MEMBER)

    asked(database_url, tmp_path, undo)
    undone = killed_in(program, env, database_url, "undoing")
    assert undone["counts"]["undone"] == GOOD
    assert_whole(database_url, undone, "undone", {"undone": GOOD, "planned": BAD}, 0)


def assert_whole(
    url: str, row: dict[str, Any], state: str, rows: dict[str, int], stored: int
) -> None:
    """Each line once, no contact twice or by half, and totals that are those of the file."""
    counts = row["counts"]
    assert adds_up(counts)
    assert (row["state"], counts["rows"], counts["create"], counts["error"]) == (
        state,
        ROWS,
        GOOD,
        BAD,
    )
    by_state = select(import_rows.c.state, func.count()).group_by(import_rows.c.state)
    assert {one[0]: one[1] for one in fetch(url, by_state)} == rows
    for table in (contacts, contact_emails):
        assert fetch(url, select(func.count()).select_from(table))[0][0] == stored


# SPEC I9
def test_kill_9_while_companies_are_written_and_taken_back(
    program: Program, sqlite_url: str, tmp_path: Path
) -> None:
    env = {
        "DATABASE_URL": sqlite_url,
        "LEASE_SECONDS": "1",
        "UPLOADS_FOLDER": str(tmp_path / "uploads"),
    }
    file = "company_name,company_url,other_names\n" + "".join(
        f"Company {n},c{n}.example,Other {n}\n" for n in range(ROWS)
    )

    async def commit(site: Importing) -> None:
        planned = await site.plan(file, kind="companies")
        await ask_commit(site.db, site.id, planned.id, planned.plan_hash, MEMBER)

    asked(sqlite_url, tmp_path, commit)
    done = killed_in(program, env, sqlite_url, "committing")
    assert (done["state"], done["counts"]["created"]) == ("done", ROWS)
    assert_companies(sqlite_url, ROWS)

    async def undo(site: Importing) -> None:
        await ask_undo(site.db, site.id, done["id"], MEMBER)

    asked(sqlite_url, tmp_path, undo)
    undone = killed_in(program, env, sqlite_url, "undoing")
    assert (undone["state"], undone["counts"]["undone"]) == ("undone", ROWS)
    assert_companies(sqlite_url, 0)


def assert_companies(url: str, stored: int) -> None:
    """Each once, with its name, its other name and its domain."""
    for table, times in ((companies, 1), (company_aliases, 3)):
        assert fetch(url, select(func.count()).select_from(table))[0][0] == stored * times


def test_kill_9_in_an_upload(program: Program, sqlite_url: str, tmp_path: Path) -> None:
    """What had come is in no import, and in nobody's way."""
    folder = tmp_path / "uploads"
    env = {"DATABASE_URL": sqlite_url, "UPLOADS_FOLDER": str(folder)}

    async def token() -> str:
        async with connected(sqlite_url) as site, site.db.write() as connection:
            return str(await create_token(connection, COMMAND, "suite", "write", None, None))

    headers = {"Authorization": f"Bearer {asyncio.run(token())}", "Content-Type": "text/csv"}
    server = program.start("serve", "--port", "0", env=env)
    url = server.wait_for_line(r"(http://\S+)").group(1).rstrip("/")

    def killing(kill: Callable[[], Any]) -> Any:
        yield b"email,name\n"
        for n in range(64):
            yield b"".join(b"a%d-%d@x.example,A\n" % (n, k) for k in range(4000))
            if n == 32:
                until(lambda: any(path.stat().st_size for path in folder.glob("*.csv")))
                kill()

    with pytest.raises(httpx.HTTPError):
        httpx.post(f"{url}/api/v1/imports", content=killing(server.kill), headers=headers)
    assert fetch(sqlite_url, select(imports)) == []
    assert fetch(sqlite_url, select(import_rows)) == []
    server = program.start("serve", "--port", "0", env=env)
    url = server.wait_for_line(r"(http://\S+)").group(1).rstrip("/")
    told = httpx.post(
        f"{url}/api/v1/imports", content=b"email\na@x.example\n", headers=headers, timeout=30
    )
    assert told.status_code == 201, told.text
    server.stop()
