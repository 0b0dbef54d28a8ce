"""A changed mapping applied to what is stored, without asking Crisp again (SPEC D1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.mapping import COLUMNS, DEFAULT, apply, effective, map_fields
from app.contacts.tables import contacts
from app.db.base import StoredRow
from app.db.upsert import Row, lock_key, update_rows
from app.errors import Refused
from app.normal import fold_for_search
from app.records import Fields
from app.websites.rules import require_website
from app.websites.tables import websites

BATCH = 500
FIXED = frozenset({"email"})
"""Matching stands on these: they cannot be mapped to something else or left out."""


async def change_mapping(
    connection: AsyncConnection, website_id: str, overrides: Mapping[str, str | None]
) -> int:
    """Keep `overrides` (Crisp's path to a target, None to leave it out); how many contacts changed.

    A value that Crisp wrote moves with its mapping; one that a person wrote over it stays.
    Raises Refused for a target that no contact has, NotFound.
    """
    check_mapping(overrides)
    await lock_key(connection, f"website {website_id}")
    website = await require_website(connection, website_id)
    old, new = effective(website.mapping), effective(overrides)
    await connection.execute(
        update(websites).where(websites.c.id == website_id).values(mapping=dict(overrides))
    )
    changed = 0
    after = ""
    while rows := await _next_batch(connection, website_id, after):
        after = rows[-1].id
        moved = [row for found in rows if (row := _moved(found, old, new)) is not None]
        await update_rows(connection, contacts, moved, key=("website_id", "id"))
        changed += len(moved)
    return changed


def check_mapping(overrides: Mapping[str, str | None]) -> None:
    """Raises Refused with the first thing that is wrong."""
    for path, target in overrides.items():
        if path in FIXED and target != DEFAULT[path]:
            raise Refused(f"{path} cannot be mapped to something else: matching needs it.")
        if target is None or target.startswith("attributes."):
            continue
        if target not in COLUMNS or target in FIXED:
            raise Refused(f"{target} is no field of a contact; write attributes.{target} for one.")


async def _next_batch(connection: AsyncConnection, website_id: str, after: str) -> list[StoredRow]:
    rows = await connection.execute(
        select(contacts)
        .where(contacts.c.website_id == website_id, contacts.c.id > after)
        .order_by(contacts.c.id)
        .limit(BATCH)
    )
    return list(rows)


def _moved(row: StoredRow, old: Mapping[str, str], new: Mapping[str, str]) -> Row | None:
    """The contact under the new mapping; None when nothing of it changes."""
    fields: Fields = row.crisp_fields
    was, becomes = map_fields(old, fields, fields), map_fields(new, fields, fields)
    columns: Fields = {name: getattr(row, name) for name in COLUMNS}
    attributes: Fields = dict(row.attributes)
    left = {t: None for t, value in was.items() if t not in becomes and _at(row, t) == value}
    taken = {t: v for t, v in becomes.items() if was.get(t) != v or t not in was}
    apply({**left, **taken}, columns, attributes)
    if attributes == row.attributes and all(columns[n] == getattr(row, n) for n in COLUMNS):
        return None
    return {
        "website_id": row.website_id,
        "id": row.id,
        **columns,
        "attributes": attributes,
        "search": fold_for_search(
            columns["name"], columns["email"], columns["phone"], attributes.get("company_name")
        ),
        "updated_at": clock.now(),
    }


def _at(row: StoredRow, target: str) -> Any:
    if target.startswith("attributes."):
        return row.attributes.get(target.removeprefix("attributes."))
    return getattr(row, target)
