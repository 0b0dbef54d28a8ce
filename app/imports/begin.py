"""A file comes in: how it is written, what its columns probably are (SPEC I1, I2)."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.contacts.attributes import known_attributes
from app.db.base import StoredRow, new_id
from app.db.session import Database
from app.errors import Refused
from app.imports.asked import audit_import, find_import, require_import, require_state
from app.imports.bad_rows import ADDED, origin_of
from app.imports.columns import CUSTOM, ColumnMap
from app.imports.layout import Layout, detect
from app.imports.reader import read_head
from app.imports.setup import check_width, columns_of_import
from app.imports.suggest import suggest
from app.imports.tables import imports
from app.imports.uploads import Stored, forget, path_of
from app.imports.work import one_import
from app.spreadsheet import undefused
from app.websites.rules import require_website

_SAMPLE = 200


async def begin_import(
    db: Database,
    folder: Path,
    website_id: str,
    stored: Stored,
    actor: Actor,
    layout: Layout | None = None,
) -> str:
    """Look at an uploaded file and suggest how to read it; its id. Raises Refused; then the file is gone."""
    actor.require(Role.MEMBER)
    try:
        path = path_of(folder, stored.file)
        found = layout if layout is not None else await asyncio.to_thread(detect, path)
        return await db.transact(
            lambda connection: _begin(connection, path, website_id, stored, actor, found)
        )
    except Refused:
        forget(folder, stored.file)
        raise


async def _begin(
    connection: AsyncConnection,
    path: Path,
    website_id: str,
    stored: Stored,
    actor: Actor,
    layout: Layout,
) -> str:
    await require_website(connection, website_id)
    columns, repairs, origin_column = await _suggested(connection, website_id, path, layout)
    import_id = new_id()
    await connection.execute(
        insert(imports).values(
            website_id=website_id,
            id=import_id,
            state="uploaded",
            mode="merge" if repairs is None else repairs.mode,
            counts={},
            created_at=clock.now(),
            created_by=actor.name,
            file_name=stored.name,
            file_size=stored.size,
            file=stored.file,
            layout=layout.as_json(),
            columns=[column.as_json() for column in columns],
            options={} if repairs is None else {**repairs.options, "origin_column": origin_column},
            repairs=None if repairs is None else repairs.id,
            checkpoint={},
            lease_epoch=0,
            lease_until_ms=0,
        )
    )
    after = {"file_name": stored.name, "file_size": stored.size}
    await audit_import(connection, actor, "import.begun", website_id, import_id, after)
    return import_id


async def _suggested(
    connection: AsyncConnection, website_id: str, path: Path, layout: Layout
) -> tuple[list[ColumnMap], StoredRow | None, int | None]:
    """The columns, the import whose bad rows these are, and where their lines stand."""
    names, rows = await asyncio.to_thread(read_head, path, layout, _SAMPLE)
    check_width(names)
    cells = [row.cells for row in rows]
    known = {
        key: ColumnMap("", f"{CUSTOM}{key}", attribute.type, attribute.choices)
        for key, attribute in (await known_attributes(connection, website_id)).items()
    }
    columns = suggest(names, cells, known)
    origin = origin_of(names, cells)
    first = await find_import(connection, website_id, origin[1]) if origin else None
    if origin is None or first is None:
        return columns, None, None
    left = columns_of_import(first)
    return [_mapped_as(name, left) for name in names], first, origin[0]


def _mapped_as(name: str, left: list[ColumnMap]) -> ColumnMap:
    """As in the first file, where several columns may have one name; its names were defused."""
    for column in left:
        if name not in ADDED and column.column in {name, undefused(name)}:
            left.remove(column)
            return column
    return ColumnMap(name)


async def change_layout(
    db: Database, folder: Path, website_id: str, import_id: str, layout: Layout, actor: Actor
) -> None:
    """Read it otherwise; the columns are suggested anew. Raises Refused."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("uploaded", "planned"))
        path = path_of(folder, row.file)
        columns, _, _ = await _suggested(connection, website_id, path, layout)
        await connection.execute(
            one_import(website_id, import_id).values(
                layout=layout.as_json(),
                columns=[column.as_json() for column in columns],
                state="uploaded",
                plan_hash=None,
            )
        )

    await db.transact(work)
