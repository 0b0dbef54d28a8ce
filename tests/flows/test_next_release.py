"""A release that migrates the database while this one serves from it (FAILURES case 88).

The next release is a copy of this one with one more migration, run by its own `crispsync migrate`.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy import inspect, text

from app.db.migrate import HEAD, open_for_migration, upgrade
from app.errors import DatabaseTooNew
from tests.beside import Box, fetch, sandbox_beside, until
from tests.fixtures.people import browser_of
from tests.fixtures.program import SECRET_KEY, Program
from tests.flows.test_hooks_outages import OLD, hook_of, id_of, post, states_of

ROOT = Path(__file__).parents[2]
NEXT = "9999"
MIGRATION = f"""
import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("mood", sa.Text(), nullable=True))
    op.add_column("messages", sa.Column("weight", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    op.drop_column("messages", "weight")
    op.drop_column("conversations", "mood")
"""
SLOWEST = 8.0
"""Seconds: a page waits behind the migration for its table, three at most, on a busy machine."""


@pytest.fixture
def next_release(tmp_path: Path) -> Path:
    folder = tmp_path / "next"
    for name in ("app", "workers", "alembic"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "alembic.ini", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    (folder / f"alembic/versions/20991231_{NEXT}_next.py").write_text(MIGRATION)
    migrate = folder / "app/db/migrate.py"
    source, made = re.subn(
        r'^HEAD = "\d+"', f'HEAD = "{NEXT}"', migrate.read_text(), flags=re.MULTILINE
    )
    assert made == 1
    migrate.write_text(source)
    return folder


@contextmanager
def migrating(folder: Path, url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", "from app.cli import main; main()", "migrate"],
        cwd=folder,
        env={"PATH": os.defpath, "DATABASE_URL": url, "SECRET_KEY": SECRET_KEY},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@dataclass
class Traffic:
    """Hooks that arrive and pages that are read, one after another, until it is stopped."""

    box: Box
    address: str
    url: str
    taken: list[str] = field(default_factory=list)
    statuses: set[int] = field(default_factory=set)
    pages: int = 0
    slowest: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)

    def send(self) -> None:
        number = 0
        while not self.stopped.wait(0.02):
            number += 1
            body = hook_of(self.box.website_id, number)
            began = time.monotonic()
            status = post(self.address, body)
            self._note(status, began)
            if status == 200:
                self.taken.append(id_of(body))

    def read(self) -> None:
        with browser_of(self.address, self.url) as web:
            while not self.stopped.wait(0.02):
                began = time.monotonic()
                answer = web.get("/conversations", timeout=20)
                self._note(answer.status_code, began)
                self.pages += 1

    def _note(self, status: int, began: float) -> None:
        self.statuses.add(status)
        self.slowest = max(self.slowest, time.monotonic() - began)


@contextmanager
def traffic_on(box: Box, address: str, url: str) -> Iterator[Traffic]:
    traffic = Traffic(box, address, url)
    threads = [threading.Thread(target=one) for one in (traffic.send, traffic.read)]
    for thread in threads:
        thread.start()
    try:
        yield traffic
    finally:
        traffic.stopped.set()
        for thread in threads:
            thread.join()


def columns_of(url: str, table: str) -> set[str]:
    with open_for_migration(url) as connection:
        return {column["name"] for column in inspect(connection).get_columns(table)}


def test_case_088_traffic_goes_on_while_the_next_release_migrates(
    program: Program, migrated_postgres_url: str, next_release: Path
) -> None:
    url = migrated_postgres_url
    with sandbox_beside(people=10, conversations=20) as box:
        env = box.pulled(url, CRISP_SIGNING_SECRET=OLD)
        server = program.start("serve", "--port", "0", env=env)
        address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        with traffic_on(box, address, url) as traffic, psycopg.connect(url) as reader:
            # A report that somebody runs: it reads, and holds the table for as long.
            reader.execute("SELECT count(*) FROM conversations")
            with migrating(next_release, url) as migration:
                assert migration.stderr is not None
                told = migration.stderr.readline()
                assert "A table is in use" in told
                assert "tries again" in told
                before = len(traffic.taken), traffic.pages
                until(lambda: len(traffic.taken) > before[0] + 20)
                until(lambda: traffic.pages > before[1] + 5)
                assert "mood" not in columns_of(url, "conversations")
                reader.rollback()
                assert migration.wait(60) == 0
            assert "mood" in columns_of(url, "conversations")
            after = len(traffic.taken), traffic.pages
            until(lambda: len(traffic.taken) > after[0] + 20)
            until(lambda: traffic.pages > after[1] + 5)
        assert traffic.statuses == {200}
        assert traffic.slowest < SLOWEST
        # The release before applies what it took, on the schema of its successor.
        until(lambda: {states_of(url)[one] for one in traffic.taken} == {"done"})
        weights = fetch(url, text("SELECT count(*) FROM messages WHERE weight = 0"))
        assert weights[0][0] >= len(traffic.taken)
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert "Traceback" not in server.output
        # Started anew it would not know the schema, and says so instead of guessing.
        with pytest.raises(DatabaseTooNew):
            upgrade(url)


def test_case_088_traffic_goes_on_while_the_next_release_migrates_sqlite(
    program: Program, sqlite_url: str, next_release: Path
) -> None:
    """One writer at a time: what arrives meanwhile waits for the migration, and is taken."""
    with sandbox_beside(people=10, conversations=20) as box:
        env = box.pulled(sqlite_url, CRISP_SIGNING_SECRET=OLD)
        server = program.start("serve", "--port", "0", env=env)
        address = server.wait_for_line(r"crispsync serves (http://\S+)")[1]
        with traffic_on(box, address, sqlite_url) as traffic:
            until(lambda: len(traffic.taken) > 20)
            with migrating(next_release, sqlite_url) as migration:
                _, told = migration.communicate(timeout=60)
                assert migration.returncode == 0, told
            assert "mood" in columns_of(sqlite_url, "conversations")
            after = len(traffic.taken), traffic.pages
            until(lambda: len(traffic.taken) > after[0] + 20)
            until(lambda: traffic.pages > after[1] + 5)
        assert traffic.statuses == {200}
        assert traffic.slowest < SLOWEST
        until(lambda: {states_of(sqlite_url)[one] for one in traffic.taken} == {"done"})
        assert httpx.get(f"{address}/readyz").status_code == 200
        assert "Traceback" not in server.output


def test_case_088_a_table_that_is_never_free_ends_in_a_sentence(
    program: Program,
    migrated_postgres_url: str,
    next_release: Path,
) -> None:
    """Nothing is half migrated: the first of two tables is taken back with the second."""
    url = migrated_postgres_url
    source = next_release / "app/db/migrate.py"
    source.write_text(re.sub(r"^TRIES = \d+", "TRIES = 2", source.read_text(), flags=re.MULTILINE))
    with psycopg.connect(url) as reader:
        reader.execute("SELECT count(*) FROM messages")
        with migrating(next_release, url) as migration:
            _, stderr = migration.communicate(timeout=60)
        lines = stderr.splitlines()
        assert migration.returncode == 2
        assert len(lines) == 2, stderr
        assert "nothing was changed" in lines[-1]
        assert "Traceback" not in stderr
    assert "mood" not in columns_of(url, "conversations")
    assert upgrade(url) is False


def test_case_088_a_file_that_is_never_free_ends_in_a_sentence(
    program: Program, sqlite_url: str, next_release: Path
) -> None:
    source = next_release / "app/db/migrate.py"
    source.write_text(
        re.sub(r"^SQLITE_WAIT = .*", "SQLITE_WAIT = 0.1", source.read_text(), flags=re.MULTILINE)
    )
    file = sqlite_url.partition("///")[2]
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        with migrating(next_release, sqlite_url) as migration:
            _, stderr = migration.communicate(timeout=60)
        assert migration.returncode == 2
        assert "nothing was changed" in stderr
        assert "Traceback" not in stderr
        writer.execute("ROLLBACK")
    assert "mood" not in columns_of(sqlite_url, "conversations")
    assert upgrade(sqlite_url) is False
