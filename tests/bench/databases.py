"""Databases for the benchmarks: as many as wanted in one test, migrated or empty."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from tests.fixtures.databases import (
    postgres_database,
    postgres_template,
    sqlite_address,
    sqlite_template,
)


@contextmanager
def database(kind: str, folder: Path, *, migrated: bool = True) -> Iterator[str]:
    """The address of a new one; it is gone afterwards."""
    if kind == "postgres":
        with postgres_database(postgres_template() if migrated else "template0") as url:
            yield url
        return
    path = folder / f"{uuid4().hex}.db"
    if migrated:
        shutil.copyfile(sqlite_template(), path)
    yield sqlite_address(path)
    for file in folder.glob(f"{path.name}*"):
        file.unlink()
