"""What people ask of an import: plan, commit, plan again, undo, cancel.

Each is one transaction; what takes long is then done by a worker (app/imports/worker.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.contacts.attributes import (
    Attribute,
    check_attributes,
    define_attributes,
)
from app.db.base import StoredRow
from app.db.session import Database
from app.errors import Conflict, Refused
from app.imports.asked import audit_import, require_import, require_state
from app.imports.columns import ColumnMap, check_columns
from app.imports.diff import MODES
from app.imports.setup import checked_options, columns_of_import
from app.imports.tables import import_rows, imports
from app.imports.undo import CHUNK, undo_lines
from app.imports.uploads import forget
from app.imports.work import one_import
from app.logs import current_request_id


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file is to be imported; `options` as in app/imports/setup.py."""

    columns: Sequence[ColumnMap]
    mode: str
    options: Mapping[str, Any]


async def ask_plan(
    db: Database, website_id: str, import_id: str, choice: Choice, actor: Actor
) -> None:
    """Have the whole file compared with what is stored. Raises Refused for a choice that cannot be used."""
    actor.require(Role.MEMBER)
    if choice.mode not in MODES:
        raise Refused(f"There is no mode {choice.mode[:40]}; choose {', '.join(MODES)}.")
    options = checked_options(choice.options)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("uploaded", "planned"))
        if row.counts.get("applied"):
            raise Conflict(
                "Some rows of it are imported already; plan only the refused ones again."
            )
        check_columns(choice.columns, row.kind)
        if row.kind == "companies" and "segment" in options:
            raise Refused("Companies have no segments: leave the segment out.")
        await check_attributes(connection, website_id, _attributes(row.kind, choice.columns))
        kept = {k: v for k, v in row.options.items() if k == "origin_column"}
        await _forget_rows(connection, website_id, import_id)
        await connection.execute(
            one_import(website_id, import_id).values(
                state="planning",
                request_id=current_request_id(),
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


async def forget_files(db: Database, folder: Path, website_id: str) -> None:
    """Before a website is erased: what was uploaded for it."""
    async with db.read() as connection:
        rows = await connection.execute(
            select(imports.c.file).where(imports.c.website_id == website_id)
        )
        files = [row.file for row in rows]
    for file in files:
        forget(folder, file)


def _attributes(kind: str, columns: Sequence[ColumnMap]) -> list[Attribute]:
    """Those of contacts have one type in all files; those of companies are as each file has them."""
    if kind == "companies":
        return []
    return [Attribute(c.key, c.type, c.choices) for c in columns if c.is_custom]


async def _forget_rows(connection: AsyncConnection, website_id: str, import_id: str) -> None:
    await connection.execute(
        delete(import_rows).where(
            import_rows.c.website_id == website_id, import_rows.c.import_id == import_id
        )
    )


async def ask_mapping(db: Database, website_id: str, import_id: str, actor: Actor) -> None:
    """Back from the plan to the mapping; the plan is forgotten."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("planned",))
        if row.counts.get("applied"):
            raise Conflict("Some rows of it are imported already; its mapping cannot change.")
        await _forget_rows(connection, website_id, import_id)
        values: dict[str, Any] = {
            "state": "uploaded",
            "plan_hash": None,
            "counts": {},
            "checkpoint": {},
        }
        await connection.execute(one_import(website_id, import_id).values(**values))

    await db.transact(work)


async def ask_again(db: Database, website_id: str, import_id: str, actor: Actor) -> None:
    """Plan the rows anew that a commit refused, or the whole of a plan that is too old."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("done", "planned"))
        if row.state == "planned" and not row.counts.get("applied"):
            await _forget_rows(connection, website_id, import_id)
            counts: dict[str, int] = {}
            again = False
        else:
            counts, again = await _without_refused(connection, row), True
        await connection.execute(
            one_import(website_id, import_id).values(
                state="planning",
                request_id=current_request_id(),
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
    found = await connection.execute(
        select(import_rows.c.outcome, import_rows.c.state).where(
            import_rows.c.website_id == row.website_id,
            import_rows.c.import_id == row.id,
            import_rows.c.outcome != "error",
            import_rows.c.state.in_(("refused", "repaired")),
        )
    )
    states = found.all()
    outcomes = [one.outcome for one in states if one.state == "refused"]
    if not outcomes:
        raise Refused("No row of this import was refused; there is nothing to plan again.")
    for outcome in outcomes:
        counts[outcome] -= 1
    # Those that came in with another file were refused here, and count as repaired.
    return counts | {"refused": len(states) - len(outcomes)}


async def ask_commit(
    db: Database, website_id: str, import_id: str, plan_hash: str, actor: Actor
) -> None:
    """Have the plan applied that has this hash. Raises Conflict when it is another one, or too old."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("planned",))
        if row.plan_hash != plan_hash:
            raise Conflict("This is not the plan that you saw: look at the new one first.")
        if row.expires_at <= clock.now():
            raise Conflict("This plan is older than a day: plan the import again.")
        await define_attributes(
            connection, website_id, _attributes(row.kind, columns_of_import(row)), actor.name
        )
        await connection.execute(
            one_import(website_id, import_id).values(
                state="committing",
                request_id=current_request_id(),
                checkpoint={},
                started_at=None,
                lease_until_ms=0,
            )
        )
        after = {"mode": row.mode, "counts": row.counts}
        await audit_import(connection, actor, "import.committed", website_id, import_id, after)

    await db.transact(work)


async def ask_undo(db: Database, website_id: str, import_id: str, actor: Actor) -> None:
    """Have everything taken back that this import wrote, except what others changed since."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> None:
        row = await require_import(connection, website_id, import_id)
        # An erasure cancels what was to be planned again; what came in before that can still be taken back.
        if row.state not in {"planned", "cancelled"} or not row.counts.get("applied"):
            require_state(row, ("done", "failed"))
        await connection.execute(
            one_import(website_id, import_id).values(
                state="undoing",
                request_id=current_request_id(),
                checkpoint={},
                error=None,
                started_at=None,
                lease_until_ms=0,
            )
        )
        await audit_import(connection, actor, "import.undone", website_id, import_id, None)

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
        require_state(row, ("done", "failed"))
        done = await undo_lines(connection, website_id, import_id, lines)
        if not done:
            raise Refused("That row was not applied, or it was undone already.")
        await audit_import(
            connection, actor, "import.rows_undone", website_id, import_id, {"lines": list(lines)}
        )
        return done

    return await db.transact(work)


async def cancel(db: Database, folder: Path, website_id: str, import_id: str, actor: Actor) -> None:
    """Before anything of it was written; the file is forgotten."""
    actor.require(Role.MEMBER)

    async def work(connection: AsyncConnection) -> str | None:
        row = await require_import(connection, website_id, import_id)
        require_state(row, ("uploaded", "planning", "planned"))
        if row.counts.get("applied"):
            raise Conflict("Some rows of it are imported already: undo it instead.")
        await _forget_rows(connection, website_id, import_id)
        ended = {"state": "cancelled", "finished_at": clock.now(), "file": None, "plan_hash": None}
        await connection.execute(one_import(website_id, import_id).values(**ended))
        await audit_import(connection, actor, "import.cancelled", website_id, import_id, None)
        return None if row.file is None else str(row.file)

    forget(folder, await db.transact(work))
