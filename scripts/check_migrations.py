"""Migrations work in both directions and leave no drift from the models, on both databases.

Run by `make check`. PostgreSQL is the one of the tests; TEST_DATABASE_URL names another.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.fixtures import run_folder
from tests.fixtures.databases import postgres_database, sqlite_address

ALEMBIC = Path(sys.executable).with_name("alembic")
STEPS = (["upgrade", "head"], ["downgrade", "base"], ["upgrade", "head"], ["check"])


@contextmanager
def fresh_databases() -> Iterator[dict[str, str]]:
    folder = run_folder.make()
    try:
        with postgres_database() as postgres:
            yield {"SQLite": sqlite_address(folder / "check.db"), "PostgreSQL": postgres}
    finally:
        run_folder.remove(folder)


def problem(url: str) -> str | None:
    """What the first failing step said; None when all passed."""
    environment = os.environ | {"DATABASE_URL": url}
    for step in STEPS:
        done = subprocess.run(
            [ALEMBIC, *step], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"`alembic {' '.join(step)}` failed.\n{done.stdout}{done.stderr}"
    return None


def main() -> int:
    with fresh_databases() as urls, ThreadPoolExecutor() as threads:
        problems = dict(zip(urls, threads.map(problem, urls.values()), strict=True))
    for kind, found in problems.items():
        print(f"Migrations on {kind}: {found or 'up, down, up, and no drift from the models.'}")
    return 1 if any(problems.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
