"""What an erasure does to imports: their rows lose what they hold of the person, files that name them go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.erased import Hasher, Identity, erased_of, find_hasher, identities_of_text
from app.db.base import StoredRow
from app.db.session import Database
from app.db.upsert import db_now_ms
from app.errors import Conflict, CrispsyncError
from app.imports.reader import Reader
from app.imports.setup import layout_of_import
from app.imports.tables import import_rows, imports
from app.privacy.mentions import mentions
from app.privacy.person import Person

AT_WORK = ("planning", "committing", "undoing")
_NOT_APPLIED = ("uploaded", "planned")
GONE = "Somebody in its file was erased, and the file with them: upload it again without that row."
CHUNK = 5_000
_MAY_STILL_COME = timedelta(hours=1)
"""An upload is written to all the time; only then is its import known."""


async def refuse_during_import(connection: AsyncConnection, website_id: str) -> None:
    """Raises Conflict: an import at work holds in memory what it will write."""
    busy = await connection.scalar(
        select(imports.c.id)
        .where(imports.c.website_id == website_id, imports.c.state.in_(AT_WORK))
        .limit(1)
    )
    if busy is not None:
        raise Conflict("An import is at work in this website: erase when it has ended.")


async def refuse_live_import(connection: AsyncConnection, website_id: str) -> None:
    """Raises Conflict when a process has one in hand; what a restored database calls so is nobody's."""
    busy = await connection.scalar(
        select(imports.c.id)
        .where(
            imports.c.website_id == website_id,
            imports.c.state.in_(AT_WORK),
            imports.c.lease_until_ms > db_now_ms(connection),
        )
        .limit(1)
    )
    if busy is not None:
        raise Conflict(
            "An import is at work, and somebody is to be erased again first: start again."
        )


async def forget_import_rows(connection: AsyncConnection, person: Person) -> None:
    """The line stays, so that the totals add up; it cannot be undone, and a plan with it cannot be applied."""
    r = import_rows.c
    theirs = (r.website_id == person.website_id) & or_(
        r.contact_id.in_(sorted(person.contact_ids)),
        r.email_norm.in_(sorted(person.addresses)),
        *(mentions(column, person.needles) for column in (r.changes, r.problems, r.cells)),
    )
    found = await connection.execute(
        update(import_rows)
        .where(theirs)
        .values(
            email_norm=None,
            contact_id=None,
            changes=None,
            cells=None,
            basis=None,
            problems=[{"code": "erased", "column": None, "value": "", "suggestion": "",
                       "reason": "The person was erased."}],
        )
        .returning(r.import_id, r.line)
    )  # fmt: skip
    lines = found.all()
    ids = sorted({row.import_id for row in lines})
    for import_id in ids:
        mine = [row.line for row in lines if row.import_id == import_id]
        await connection.execute(
            update(import_rows)
            .where(
                r.website_id == person.website_id,
                r.import_id == import_id,
                r.line.in_(mine),
                r.state == "applied",
            )
            .values(state="undone")
        )
    await _cancel(connection, person.website_id, ids)


async def _cancel(
    connection: AsyncConnection, website_id: str, ids: Iterable[str], reason: str = GONE
) -> None:
    await connection.execute(
        update(imports)
        .where(
            imports.c.website_id == website_id,
            imports.c.id.in_(sorted(ids)),
            imports.c.state.in_(_NOT_APPLIED),
        )
        .values(state="cancelled", plan_hash=None, error=reason)
    )


async def sweep_uploads(db: Database, folder: Path, website_id: str) -> int:
    """Drop every kept file of the website that names somebody who was erased; how many."""
    async with db.read() as connection:
        hasher = await find_hasher(connection, website_id)
        rows = await connection.execute(
            select(imports).where(imports.c.website_id == website_id, imports.c.file.is_not(None))
        )
        kept = rows.all()
    dropped = 0
    for row in kept:
        if hasher is not None and await _names_erased(db, hasher, folder, row):
            await drop_upload(db, folder, row)
            dropped += 1
    return dropped


async def _names_erased(db: Database, hasher: Hasher, folder: Path, row: StoredRow) -> bool:
    path = folder / row.file
    if not path.is_file():
        return False
    named: set[Identity] = set()
    async with db.read() as connection:
        try:
            for line in Reader(path, layout_of_import(row)):
                for cell in line.cells:
                    named.update(identities_of_text(cell.strip()))
                if len(named) > CHUNK:
                    if await erased_of(connection, hasher, named):
                        return True
                    named.clear()
        except (CrispsyncError, ValueError):
            # A file that cannot be read any more cannot be shown to be free of them.
            return True
        return bool(await erased_of(connection, hasher, named))


async def drop_strays(db: Database, folder: Path) -> int:
    """Files that no import names: of uploads that a kill cut off. How many."""
    before = (clock.now() - _MAY_STILL_COME).timestamp()
    paths = await asyncio.to_thread(lambda: sorted(folder.glob("*.csv")) if folder.is_dir() else [])
    async with db.read() as connection:
        rows = await connection.execute(select(imports.c.file).where(imports.c.file.is_not(None)))
        named = set(rows.scalars())
    strays = [path for path in paths if path.name not in named and _is_older(path, before)]
    for path in strays:
        path.unlink(missing_ok=True)
    return len(strays)


def _is_older(path: Path, before: float) -> bool:
    try:
        return path.stat().st_mtime < before
    except OSError:
        return False


async def drop_upload(db: Database, folder: Path, row: StoredRow, reason: str = GONE) -> None:
    """The file first: what is not there any more is only named by its row."""
    (folder / row.file).unlink(missing_ok=True)
    await db.transact(partial(_forget_file, row=row, reason=reason))


async def _forget_file(connection: AsyncConnection, row: StoredRow, reason: str) -> None:
    await connection.execute(
        update(imports)
        .where(imports.c.website_id == row.website_id, imports.c.id == row.id)
        .values(file=None)
    )
    await _cancel(connection, row.website_id, [row.id], reason)
