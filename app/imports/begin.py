"""A file comes in: how it is written, what its columns probably are (SPEC I1, I2)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
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
from app.imports.known_companies import types_of_attributes
from app.imports.layout import Layout, detect
from app.imports.reader import read_head
from app.imports.setup import check_width, columns_of_import
from app.imports.suggest import suggest
from app.imports.tables import KINDS, imports
from app.imports.uploads import Stored, forget, path_of
from app.imports.work import one_import
from app.spreadsheet import undefused
from app.websites.rules import require_website

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Found:
    """A file that came in, how it is written, and what its rows are."""

    path: Path
    layout: Layout
    kind: str


async def begin_import(
    db: Database,
    folder: Path,
    website_id: str,
    stored: Stored,
    actor: Actor,
    kind: str = "contacts",
) -> str:
    """Look at an uploaded file and suggest how to read it; its id. `kind`: what its rows are, one of KINDS.

    A file of bad rows is of the kind of its first import. Raises Refused; then the file is gone.
    """
    actor.require(Role.MEMBER)
    try:
        require_kind(kind)
        path = path_of(folder, stored.file)
        layout = await asyncio.to_thread(detect, path)
        found = Found(path, layout, kind)
        return await db.transact(
            lambda connection: _begin(connection, website_id, stored, found, actor)
        )
    except Refused:
        forget(folder, stored.file)
        raise


def require_kind(kind: str) -> None:
    """Raises Refused."""
    if kind not in KINDS:
        raise Refused(f"The rows of a file are {' or '.join(KINDS)}, not {kind[:40]}.")


async def _begin(
    connection: AsyncConnection, website_id: str, stored: Stored, found: Found, actor: Actor
) -> str:
    await require_website(connection, website_id)
    columns, repairs, origin_column = await _suggested(connection, website_id, found)
    import_id = new_id()
    await connection.execute(
        insert(imports).values(
            website_id=website_id,
            id=import_id,
            kind=found.kind if repairs is None else repairs.kind,
            state="uploaded",
            mode="merge" if repairs is None else repairs.mode,
            counts={},
            created_at=clock.now(),
            created_by=actor.name,
            file_name=stored.name,
            file_size=stored.size,
            file=stored.file,
            layout=found.layout.as_json(),
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
    connection: AsyncConnection, website_id: str, found: Found
) -> tuple[list[ColumnMap], StoredRow | None, int | None]:
    """The columns, the import whose bad rows these are, and where their lines stand."""
    names, rows = await asyncio.to_thread(read_head, found.path, found.layout, _SAMPLE)
    check_width(names)
    cells = [row.cells for row in rows]
    known = await _known(connection, website_id, found.kind)
    columns = suggest(names, cells, known, found.kind)
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


async def _known(connection: AsyncConnection, website_id: str, kind: str) -> dict[str, ColumnMap]:
    read = types_of_attributes if kind == "companies" else known_attributes
    return {
        key: ColumnMap("", f"{CUSTOM}{key}", attribute.type, attribute.choices)
        for key, attribute in (await read(connection, website_id)).items()
    }


async def change_layout(
    db: Database,
    folder: Path,
    website_id: str,
    import_id: str,
    layout: Layout,
    actor: Actor,
    kind: str | None = None,
) -> None:
    """Read it otherwise; the columns are suggested anew. Raises Refused."""
    actor.require(Role.MEMBER)
    if kind is not None:
        require_kind(kind)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("uploaded", "planned"))
        found = Found(path_of(folder, row.file), layout, kind or row.kind)
        if row.repairs is not None and found.kind != row.kind:
            raise Refused("These are bad rows of an earlier import, and of its kind.")
        columns, _, _ = await _suggested(connection, website_id, found)
        await connection.execute(
            one_import(website_id, import_id).values(
                kind=found.kind,
                layout=layout.as_json(),
                columns=[column.as_json() for column in columns],
                state="uploaded",
                plan_hash=None,
            )
        )

    await db.transact(work)
