"""Old and new code on one schema: the release before goes on while its successor migrates (FAILURES case 88)."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Table, column, delete, insert, select, table

from app.db.migrate import HEAD, open_for_migration
from app.tables import metadata
from tests.beside import fetch, sandbox_beside
from tests.fixtures.databases import sqlite_address
from tests.schema_steps import Shape, breaks_before, shape_of

ROOT = Path(__file__).parents[1]
FIRST_RUN = "0006"
"""Before it no two releases ever met on one database: 0006 still replaced the table of imports."""
ID = ("TEXT", False)


def config_on(connection: Any) -> Config:
    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["connection"] = connection
    return config


@lru_cache(maxsize=1)
def steps(folder: Path) -> dict[str, dict[str, Shape]]:
    """The schema after each revision, oldest first."""
    url = sqlite_address(folder / "steps.db")
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    revisions = [script.revision for script in scripts.walk_revisions()][::-1]
    found = {}
    for revision in revisions:
        with open_for_migration(url) as connection:
            command.upgrade(config_on(connection), revision)
        with open_for_migration(url) as connection:
            found[revision] = shape_of(connection)
    return found


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Shape]]:
    return steps(tmp_path_factory.mktemp("steps"))


@pytest.mark.parametrize(
    ("new", "told"),
    [
        ({}, "t was dropped"),
        ({"t": Shape({"id": ID})}, "t: name was dropped"),
        ({"t": Shape({"id": ID, "called": ("TEXT", True)})}, "t: name was dropped"),
        ({"t": Shape({"id": ID, "name": ("BIGINT", True)})}, "t: name changed from TEXT to BIGINT"),
        ({"t": Shape({"id": ID, "name": ID})}, "t: name may not be left out any more"),
        (
            {"t": Shape({"id": ID, "name": ("TEXT", True), "new": ID})},
            "t: new is new and has neither null nor a default of the server",
        ),
        (
            {"t": Shape({"id": ID, "name": ("TEXT", True)}, {"c": "name IN ('a')"})},
            "t: the check c is stricter",
        ),
        (
            {"t": Shape({"id": ID, "name": ("TEXT", True)}, uniques=frozenset({frozenset({"name"})}))},
            "t: ['name'] became unique",
        ),
    ],
)  # fmt: skip
def test_case_088_each_way_to_break_the_release_before_is_seen(
    new: dict[str, Shape], told: str
) -> None:
    old = {"t": Shape({"id": ID, "name": ("TEXT", True)}, {"c": "name IN ('a', 'b')"})}
    assert breaks_before(old, old) == []
    wider = Shape(
        {"id": ID, "name": ("TEXT", True), "new": ("TEXT", True)},
        {"c": "name IN ('a', 'b', 'c')", "d": "new IN ('x')"},
    )
    assert breaks_before(old, {"t": wider, "other": wider}) == []
    assert told in breaks_before(old, new)


def test_case_088_no_migration_takes_away_what_the_release_before_uses(
    schemas: dict[str, dict[str, Shape]],
) -> None:
    """Expand first; what nobody uses any more goes a release later, with a line here that says so."""
    assert list(schemas)[-1] == HEAD
    problems = {
        after: found
        for before, after in pairwise(schemas)
        if before >= FIRST_RUN and (found := breaks_before(schemas[before], schemas[after]))
    }
    assert problems == {}


def test_case_088_rows_as_the_release_before_writes_them_fit(
    schemas: dict[str, dict[str, Shape]], database_url: str
) -> None:
    """Real rows, with the columns only that the schema before the newest migration had."""
    before = schemas[list(schemas)[-2]]
    with sandbox_beside(people=12, conversations=16) as box:
        box.pulled(database_url)
    known = [one for one in metadata.sorted_tables if one.name in before]
    rows = {one.name: found for one in known if (found := fetch(database_url, select(one)))}
    assert {"websites", "contacts", "companies", "conversations", "messages"} <= rows.keys()
    with open_for_migration(database_url) as connection, connection.begin():
        for one in reversed(metadata.sorted_tables):
            connection.execute(delete(one))
        for one in known:
            if one.name in rows:
                names = [name for name in before[one.name].columns if name in one.c]
                values = [{name: row._mapping[name] for name in names} for row in rows[one.name]]
                connection.execute(insert(_bare(one, names)), values)
    stored = {name: len(fetch(database_url, select(metadata.tables[name]))) for name in rows}
    assert stored == {name: len(found) for name, found in rows.items()}


def _bare(whole: Table, names: list[str]) -> Any:
    """Without the defaults that only the newest program knows."""
    return table(whole.name, *(column(name, whole.c[name].type) for name in names))
