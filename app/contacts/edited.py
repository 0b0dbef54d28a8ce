"""Writing what a file, a person or a program says of contacts; Crisp's side of them stays (SPEC D7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.addresses import copy_addresses, drop_addresses, mark_primary
from app.contacts.mapping import COLUMNS, apply
from app.contacts.merge import UNSEEN
from app.contacts.segments import shown_segments
from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow
from app.db.changes import note_changes
from app.db.lookup import find_by_key
from app.db.upsert import Row, update_rows, upsert
from app.normal import fold_for_search, normal_address
from app.records import ContactEdit, Owner

_KEY = ("website_id", "id")
_ADDRESS = ("website_id", "email_norm", "contact_id")
# Without what is NULL in each new row: a statement takes longer for each column that it names.
_UNSEEN = {name: value for name, value in UNSEEN.items() if value is not None}
_READ = (
    *COLUMNS,
    "crisp_fields",
    "attributes",
    "segment_sources",
    "field_sources",
    "owner_id",
    "owner_name",
)


async def write_contact_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[ContactEdit]
) -> dict[str, datetime]:
    """Make or change the contacts, each at most once in `edits`; since when each of them is known."""
    old_ids = [(edit.contact_id,) for edit in edits if edit.made_by is None]
    found = await find_by_key(connection, contacts, website_id, ("id",), old_ids, _READ)
    moment = clock.now()
    made: list[Row] = []
    changed: list[Row] = []
    for edit in sorted(edits, key=lambda e: e.contact_id):
        stored = found.get((edit.contact_id,))
        if edit.made_by is not None:
            made.append(_made(website_id, edit, moment))
        elif stored is not None and _says_something(edit):
            changed.append(_changed(website_id, edit, stored, moment))
    await upsert(connection, contacts, made, key=_KEY)
    await update_rows(connection, contacts, changed, key=_KEY)
    await _add_addresses(connection, website_id, made)
    crisps = {key[0]: normal_address(row.crisp_fields.get("email")) for key, row in found.items()}
    await _change_addresses(connection, website_id, edits, crisps)
    since = {key[0]: row.signed_up_at or moment for key, row in found.items()}
    return since | {row["id"]: row["signed_up_at"] or moment for row in made + changed}


def _says_something(edit: ContactEdit) -> bool:
    told = (edit.fields, edit.sources, edit.added_addresses, edit.lost_addresses)
    return any(told) or edit.segment_sources is not None or edit.owner is not None


def _made(website_id: str, edit: ContactEdit, moment: datetime) -> Row:
    columns: dict[str, Any] = {**dict.fromkeys(COLUMNS), "email": edit.email}
    return {
        **_UNSEEN,
        "website_id": website_id,
        "id": edit.contact_id,
        "source": edit.made_by,
        "created_at": moment,
        "crisp_fields": {},
        "field_versions": {},
        **_written(edit, columns, {}, {}, {}, moment),
        **_owner(edit, (None, None)),
    }


def _changed(website_id: str, edit: ContactEdit, stored: StoredRow, moment: datetime) -> Row:
    columns = {name: getattr(stored, name) for name in COLUMNS}
    return {
        "website_id": website_id,
        "id": edit.contact_id,
        **_written(
            edit,
            columns,
            dict(stored.attributes),
            stored.segment_sources,
            stored.field_sources,
            moment,
        ),
        **_owner(edit, (stored.owner_id, stored.owner_name)),
    }


def _owner(edit: ContactEdit, before: Owner) -> Row:
    owner_id, owner_name = before if edit.owner is None else edit.owner
    return {"owner_id": owner_id, "owner_name": owner_name}


def _written(
    edit: ContactEdit,
    columns: dict[str, Any],
    attributes: dict[str, Any],
    segment_sources: dict[str, list[str]],
    field_sources: dict[str, Any],
    moment: datetime,
) -> Row:
    apply(edit.fields, columns, attributes)
    segments = segment_sources if edit.segment_sources is None else edit.segment_sources
    sources = {**field_sources, **edit.sources}
    return {
        **columns,
        "attributes": attributes,
        "segments": shown_segments(segments),
        "segment_sources": segments,
        "field_sources": {target: told for target, told in sources.items() if told},
        "search": fold_for_search(
            columns["name"], columns["email"], columns["phone"], attributes.get("company_name")
        ),
        "updated_at": moment,
    }


async def _add_addresses(connection: AsyncConnection, website_id: str, made: Sequence[Row]) -> None:
    rows = [
        {
            "website_id": website_id,
            "contact_id": row["id"],
            "email_norm": address,
            "is_primary": True,
            "source": row["source"],
        }
        for row in made
        if (address := normal_address(row["email"]))
    ]
    rows.sort(key=lambda row: (row["email_norm"], row["contact_id"]))
    await upsert(connection, contact_emails, rows, key=_ADDRESS)


async def _change_addresses(
    connection: AsyncConnection,
    website_id: str,
    edits: Sequence[ContactEdit],
    crisps: Mapping[str, str | None],
) -> None:
    """Of those whose addresses a person or a program changes; files never do.

    `crisps`: by contact the address in Crisp's profile, which is Crisp's again when it is added.
    """
    for edit in edits:
        if not (edit.added_addresses or edit.lost_addresses or "email" in edit.fields):
            continue
        norms = {norm for one in edit.added_addresses if (norm := normal_address(one))}
        added: list[Row] = [
            {
                "website_id": website_id,
                "contact_id": edit.contact_id,
                "email_norm": norm,
                "is_primary": False,
                "source": "crisp" if norm == crisps.get(edit.contact_id) else edit.source,
            }
            for norm in sorted(norms)
        ]
        await drop_addresses(connection, website_id, edit.contact_id, edit.lost_addresses)
        await upsert(connection, contact_emails, added, key=_ADDRESS)
        await copy_addresses(connection, website_id, {edit.contact_id})
        await mark_primary(connection, website_id, edit.contact_id)


async def forget_addresses(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> None:
    await _delete(connection, website_id, contact_emails, "contact_id", contact_ids)


async def delete_contacts(
    connection: AsyncConnection, website_id: str, contact_ids: Sequence[str]
) -> None:
    """Rows, not tombstones: for contacts that an import made and nobody touched since."""
    await _delete(connection, website_id, contacts, "id", contact_ids)


async def _delete(
    connection: AsyncConnection, website_id: str, table: Any, column: str, ids: Sequence[str]
) -> None:
    if ids:
        await connection.execute(
            delete(table).where(table.c.website_id == website_id, table.c[column].in_(ids))
        )
    note_changes(connection, "contact", website_id, ids)
