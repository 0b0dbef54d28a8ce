"""What people ask of an import: begin, choose, plan, commit, plan again, undo, cancel.

Each is one transaction; what takes long is then done by a worker (app/imports/worker.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.contacts.attributes import (
    Attribute,
    check_attributes,
    define_attributes,
    known_attributes,
)
from app.db.base import StoredRow, new_id
from app.db.session import Database
from app.errors import Conflict, NotFound, Refused
from app.imports.bad_rows import ADDED, origin_of
from app.imports.columns import CUSTOM, ColumnMap, check_columns
from app.imports.diff import MODES
from app.imports.layout import Layout, detect
from app.imports.reader import read_head
from app.imports.setup import check_width, checked_options, columns_of_import
from app.imports.suggest import suggest
from app.imports.tables import import_rows, imports
from app.imports.undo import CHUNK, undo_lines
from app.imports.uploads import Stored, forget, path_of
from app.imports.work import one_import
from app.websites.rules import require_website

_SAMPLE = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file is to be imported; `options` as in app/imports/setup.py."""

    columns: Sequence[ColumnMap]
    mode: str
    options: Mapping[str, Any]


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
    await _audit(connection, actor, "import.begun", website_id, import_id, after)
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
    first = await _find(connection, website_id, origin[1]) if origin else None
    if origin is None or first is None:
        return columns, None, None
    told = {column.column: column for column in columns_of_import(first)}
    mapped = [ColumnMap(n) if n in ADDED else told.get(n, ColumnMap(n)) for n in names]
    return mapped, first, origin[0]


async def change_layout(
    db: Database, folder: Path, website_id: str, import_id: str, layout: Layout, actor: Actor
) -> None:
    """Read it otherwise; the columns are suggested anew. Raises Refused."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("uploaded", "planned"))
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


async def ask_plan(
    db: Database, website_id: str, import_id: str, choice: Choice, actor: Actor
) -> None:
    """Have the whole file compared with what is stored. Raises Refused for a choice that cannot be used."""
    actor.require(Role.MEMBER)
    check_columns(choice.columns)
    if choice.mode not in MODES:
        raise Refused(f"There is no mode {choice.mode[:40]}; choose {', '.join(MODES)}.")
    options = checked_options(choice.options)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("uploaded", "planned"))
        if row.counts.get("applied"):
            raise Conflict(
                "Some rows of it are imported already; plan only the refused ones again."
            )
        await check_attributes(connection, website_id, _attributes(choice.columns))
        kept = {k: v for k, v in row.options.items() if k == "origin_column"}
        await _forget_rows(connection, website_id, import_id)
        await connection.execute(
            one_import(website_id, import_id).values(
                state="planning",
                mode=choice.mode,
                columns=[column.as_json() for column in choice.columns],
                options=options | kept,
                counts={},
                checkpoint={},
                plan_hash=None,
                error=None,
                started_at=None,
                lease_until_ms=0,
            )
        )

    await db.transact(work)


def _attributes(columns: Sequence[ColumnMap]) -> list[Attribute]:
    return [Attribute(c.key, c.type, c.choices) for c in columns if c.is_custom]


async def _forget_rows(connection: AsyncConnection, website_id: str, import_id: str) -> None:
    await connection.execute(
        delete(import_rows).where(
            import_rows.c.website_id == website_id, import_rows.c.import_id == import_id
        )
    )


async def ask_again(db: Database, website_id: str, import_id: str, actor: Actor) -> None:
    """Plan the rows anew that a commit refused, or the whole of a plan that is too old."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("done", "planned"))
        if row.state == "planned" and not row.counts.get("applied"):
            await _forget_rows(connection, website_id, import_id)
            counts: dict[str, int] = {}
            again = False
        else:
            counts, again = await _without_refused(connection, row), True
        await connection.execute(
            one_import(website_id, import_id).values(
                state="planning",
                counts=counts,
                checkpoint={"again": again},
                plan_hash=None,
                error=None,
                started_at=None,
                lease_until_ms=0,
            )
        )

    await db.transact(work)


async def _without_refused(connection: AsyncConnection, row: StoredRow) -> dict[str, int]:
    """The counts as they are when the refused rows are yet to be planned."""
    counts = dict(row.counts)
    refused = await connection.execute(
        select(import_rows.c.outcome).where(
            import_rows.c.website_id == row.website_id,
            import_rows.c.import_id == row.id,
            import_rows.c.state == "refused",
        )
    )
    outcomes = [one.outcome for one in refused]
    if not outcomes:
        raise Refused("No row of this import was refused; there is nothing to plan again.")
    for outcome in outcomes:
        counts[outcome] -= 1
    return counts | {"refused": 0}


async def ask_commit(
    db: Database, website_id: str, import_id: str, plan_hash: str, actor: Actor
) -> None:
    """Have the plan applied that has this hash. Raises Conflict when it is another one, or too old."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("planned",))
        if row.plan_hash != plan_hash:
            raise Conflict("This is not the plan that you saw: look at the new one first.")
        if row.expires_at <= clock.now():
            raise Conflict("This plan is older than a day: plan the import again.")
        await define_attributes(
            connection, website_id, _attributes(columns_of_import(row)), actor.name
        )
        await connection.execute(
            one_import(website_id, import_id).values(
                state="committing", checkpoint={}, started_at=None, lease_until_ms=0
            )
        )
        after = {"mode": row.mode, "counts": row.counts}
        await _audit(connection, actor, "import.committed", website_id, import_id, after)

    await db.transact(work)


async def ask_undo(db: Database, website_id: str, import_id: str, actor: Actor) -> None:
    """Have everything taken back that this import wrote, except what others changed since."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        if row.state != "planned" or not row.counts.get("applied"):
            _require_state(row, ("done", "failed"))
        await connection.execute(
            one_import(website_id, import_id).values(
                state="undoing", checkpoint={}, error=None, started_at=None, lease_until_ms=0
            )
        )
        await _audit(connection, actor, "import.undone", website_id, import_id, None)

    await db.transact(work)


async def undo_some(
    db: Database, website_id: str, import_id: str, lines: Sequence[int], actor: Actor
) -> int:
    """Take back these rows at once; how many there were. Raises Refused for too many, or none."""
    actor.require(Role.MEMBER)
    if not 0 < len(lines) <= CHUNK:
        raise Refused(f"Name 1 to {CHUNK} rows, or undo the whole import.")

    async def work(connection: AsyncConnection) -> int:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("done", "failed"))
        done = await undo_lines(connection, website_id, import_id, lines)
        if not done:
            raise Refused("That row was not applied, or it was undone already.")
        await _audit(
            connection, actor, "import.rows_undone", website_id, import_id, {"lines": list(lines)}
        )
        return done

    return await db.transact(work)


async def cancel(db: Database, folder: Path, website_id: str, import_id: str, actor: Actor) -> None:
    """Before anything of it was written; the file is forgotten."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> str | None:
        row = await require_import(connection, website_id, import_id)
        _require_state(row, ("uploaded", "planning", "planned"))
        if row.counts.get("applied"):
            raise Conflict("Some rows of it are imported already: undo it instead.")
        await _forget_rows(connection, website_id, import_id)
        ended = {"state": "cancelled", "finished_at": clock.now(), "file": None, "plan_hash": None}
        await connection.execute(one_import(website_id, import_id).values(**ended))
        await _audit(connection, actor, "import.cancelled", website_id, import_id, None)
        return None if row.file is None else str(row.file)

    forget(folder, await db.transact(work))


async def require_import(connection: AsyncConnection, website_id: str, import_id: str) -> StoredRow:
    """Raises NotFound."""
    row = await _find(connection, website_id, import_id)
    if row is None:
        raise NotFound("There is no such import in this website.")
    return row


async def _find(connection: AsyncConnection, website_id: str, import_id: str) -> StoredRow | None:
    if "\0" in import_id:
        return None
    return (
        await connection.execute(
            select(imports).where(imports.c.website_id == website_id, imports.c.id == import_id)
        )
    ).one_or_none()


def _require_state(row: StoredRow, states: tuple[str, ...]) -> None:
    if row.state not in states:
        raise Conflict(f"This import is {row.state}; that can be done when it is {states[0]}.")


async def _audit(
    connection: AsyncConnection,
    actor: Actor,
    action: str,
    website_id: str,
    import_id: str,
    after: Mapping[str, Any] | None,
) -> None:
    subject = ("import", import_id)
    await audit(connection, actor, action, website_id=website_id, subject=subject, after=after)
