"""Migrations: both directions, by several processes at once, never on a schema from the future."""

import subprocess
import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from app.db.migrate import HEAD, open_for_migration, upgrade
from app.db.words import SEARCHED, is_kept_by_database
from app.errors import DatabaseAway, DatabaseTooNew, Refused
from app.tables import metadata
from tests.beside import change, contents, fetch
from tests.fixtures.databases import sqlite_address
from tests.fixtures.program import Program
from tests.fixtures.valkey import free_port

ROOT = Path(__file__).parents[1]
MIGRATION_LOCK = 7_110_513_904_826_001  # LOCK_KEY of alembic/env.py


def tables(url: str) -> set[str]:
    """Without those that SQLite's full-text search makes for itself."""
    with open_for_migration(url) as connection:
        found = inspect(connection).get_table_names()
        return {name for name in found if not is_kept_by_database(name)}


def test_search_is_fed_by_every_table(sqlite_url: str) -> None:
    """Alembic's batch mode makes a table anew: without its triggers, and with other row numbers."""
    with open_for_migration(sqlite_url) as connection:
        made = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
        found = {row.name for row in made}
    events = ("added", "changed", "removed")
    missing = {f"{table}_words_{event}" for table in SEARCHED for event in events} - found
    assert not missing, (
        f"A migration lost {sorted(missing)}: after batch_alter_table on a searched table, make its "
        "triggers again and fill its index anew, as the migration 0004 does."
    )


def alembic(url: str, *arguments: str) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("alembic"), *arguments],
        cwd=ROOT,
        env={"DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_head_is_the_newest_file() -> None:
    scripts = ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini")))
    assert scripts.get_heads() == [HEAD]


def test_upgrade_is_idempotent(fresh_database_url: str) -> None:
    assert upgrade(fresh_database_url) is True
    found = tables(fresh_database_url)
    assert found == {table.name for table in metadata.sorted_tables} | {"alembic_version"}
    assert upgrade(fresh_database_url) is False
    assert tables(fresh_database_url) == found


def test_any_driver_suffix_is_accepted(migrated_postgres_url: str) -> None:
    for scheme in ("postgres://", "postgresql+asyncpg://", "postgresql+psycopg2://"):
        url = migrated_postgres_url.replace("postgresql://", scheme)
        assert upgrade(url) is False


def test_several_processes_at_once(program: Program, fresh_database_url: str) -> None:
    started = [program.start("migrate", env={"DATABASE_URL": fresh_database_url}) for _ in range(4)]
    assert [one.wait() for one in started] == [0, 0, 0, 0]
    assert not any("Traceback" in one.output for one in started)
    assert upgrade(fresh_database_url) is False
    assert len(fetch(fresh_database_url, text("SELECT * FROM alembic_version"))) == 1


def test_waits_longer_for_another_migration_than_for_a_table(
    program: Program, migrated_postgres_url: str
) -> None:
    """The limit of lock_timeout is for tables in use, not for a migration of another process."""
    url = migrated_postgres_url
    alembic(url, "downgrade", "base")
    with open_for_migration(url) as another, another.begin():
        another.execute(text(f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
        waiting = program.start("migrate", env={"DATABASE_URL": url})
        # Longer than the three seconds of alembic/env.py.
        another.execute(text("SELECT pg_sleep(4.5)"))
        assert waiting.alive, waiting.output
    assert waiting.wait() == 0
    assert upgrade(url) is False


def test_down_and_up_again(database_url: str) -> None:
    alembic(database_url, "downgrade", "base")
    assert tables(database_url) == {"alembic_version"}
    assert upgrade(database_url) is True
    assert not any(contents(database_url).values())


def test_newer_schema_is_left_alone(database_url: str) -> None:
    change(database_url, text("UPDATE alembic_version SET version_num = '9999'"))
    before = contents(database_url)
    with pytest.raises(DatabaseTooNew, match="9999"):
        upgrade(database_url)
    assert contents(database_url) == before


def test_half_a_migration_is_taken_back(fresh_database_url: str) -> None:
    """A table of that name is in the way: nothing of the schema stays."""
    change(fresh_database_url, text("CREATE TABLE sync_failures (mine integer)"))
    with pytest.raises(Exception, match="sync_failures"):
        upgrade(fresh_database_url)
    assert tables(fresh_database_url) <= {"sync_failures"}


def test_postgres_away() -> None:
    with pytest.raises(DatabaseAway):
        upgrade(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing")


def test_no_sqlite_file(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("Dear customer, " * 100)
    with pytest.raises(Refused, match="no SQLite database"):
        upgrade(sqlite_address(tmp_path / "letter.txt"))


def test_sqlite_folder_is_made(tmp_path: Path) -> None:
    upgrade(sqlite_address(tmp_path / "a/b/crispsync.db"))
    engine = create_engine(f"sqlite:///{tmp_path / 'a/b/crispsync.db'}")
    assert inspect(engine).has_table("websites")
    engine.dispose()


def test_help_imports_next_to_nothing() -> None:
    """Each verb imports what it needs when it runs; help is there at once."""
    script = (
        "import sys\n"
        "from click.testing import CliRunner\n"
        "from app.cli import main\n"
        "done = CliRunner().invoke(main, ['--help'])\n"
        "assert done.exit_code == 0, done.output\n"
        "heavy = {'sqlalchemy', 'fastapi', 'alembic', 'pydantic', 'httpx', 'uvicorn', 'arq'}\n"
        "found = sorted(heavy & set(sys.modules))\n"
        "assert not found, found\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
