"""Mappings that are kept under a name, to be used for the next file (SPEC I2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.db.base import StoredRow
from app.db.session import Database
from app.db.upsert import upsert
from app.errors import Refused
from app.imports.columns import ColumnMap, column_map
from app.imports.setup import checked_options
from app.imports.tables import import_mappings

_LONGEST = 100


async def save_mapping(
    db: Database,
    website_id: str,
    name: str,
    columns: Sequence[ColumnMap],
    options: Mapping[str, Any],
    actor: Actor,
    kind: str = "contacts",
) -> None:
    """Under a name that there is already, it takes that one's place. `kind`: of such files."""
    actor.require(Role.MEMBER)
    shown = " ".join(name.split())
    if not shown or len(shown) > _LONGEST or not shown.isprintable():
        raise Refused(f"A mapping needs a name of 1 to {_LONGEST} characters.")
    row = {
        "website_id": website_id,
        "name": shown,
        "kind": kind,
        "columns": [column.as_json() for column in columns],
        "options": checked_options(options),
        "created_by": actor.name,
        "created_at": clock.now(),
    }

    async def work(connection: AsyncConnection) -> None:
        update = ("kind", "columns", "options", "created_by", "created_at")
        await upsert(connection, import_mappings, [row], key=("website_id", "name"), update=update)
        subject = ("import_mapping", shown)
        await audit(
            connection, actor, "import_mapping.saved", website_id=website_id, subject=subject
        )

    await db.transact(work)


async def saved_mappings(
    connection: AsyncConnection, website_id: str, kind: str | None = None
) -> Sequence[StoredRow]:
    """By name; `kind`: only those for such files."""
    query = select(import_mappings).where(import_mappings.c.website_id == website_id)
    query = query.where(import_mappings.c.kind == kind) if kind else query
    return (await connection.execute(query.order_by(import_mappings.c.name))).all()


def mapped_like(names: Sequence[str], saved: StoredRow) -> list[ColumnMap]:
    """The columns of a file as the saved mapping has them; those it does not know are ignored."""
    told = {one["column"]: one for one in saved.columns}
    return [
        column_map(name, told[name], saved.kind) if name in told else ColumnMap(name)
        for name in names
    ]
