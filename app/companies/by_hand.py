"""Companies, their aliases and their members, as a person or a program tells them (SPEC D6, M8)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.groups import landed
from app.companies.store import Alias
from app.companies.tables import companies, company_aliases, contact_companies
from app.db.base import StoredRow, new_id
from app.db.changes import note_changes
from app.db.lookup import find_by_key
from app.db.upsert import Row, update_rows, upsert
from app.normal import fold_for_search
from app.records import CompanyEdit, MembershipEdit

_KEY = ("website_id", "id")
_READ = ("name", "domain", "attributes", "field_sources", "owner_id", "owner_name")
_ATTRIBUTE = "attributes."


async def write_company_edits(
    connection: AsyncConnection, website_id: str, edits: Sequence[CompanyEdit]
) -> None:
    """Make or change them, each at most once in `edits`."""
    old = [(edit.company_id,) for edit in edits if not edit.made]
    found = await find_by_key(connection, companies, website_id, ("id",), old, _READ)
    made: list[Row] = []
    changed: list[Row] = []
    for edit in sorted(edits, key=lambda one: one.company_id):
        stored = found.get((edit.company_id,))
        row = {"website_id": website_id, "id": edit.company_id, **_written(edit, stored)}
        if edit.made:
            made.append({**row, "created_at": row["updated_at"], "named_ms": 0})
        elif stored is not None:
            changed.append(row)
    await upsert(connection, companies, made, key=_KEY)
    await update_rows(connection, companies, changed, key=_KEY)
    await _change_aliases(connection, website_id, edits)


def _written(edit: CompanyEdit, stored: StoredRow | None) -> Row:
    columns: Row = {name: getattr(stored, name, None) for name in ("name", "domain")}
    attributes: dict[str, Any] = dict(stored.attributes) if stored is not None else {}
    for target, value in edit.fields.items():
        if not target.startswith(_ATTRIBUTE):
            columns[target] = value
        elif value is None:
            attributes.pop(target.removeprefix(_ATTRIBUTE), None)
        else:
            attributes[target.removeprefix(_ATTRIBUTE)] = value
    sources = {**(stored.field_sources if stored is not None else {}), **edit.sources}
    before = (stored.owner_id, stored.owner_name) if stored is not None else (None, None)
    owner_id, owner_name = before if edit.owner is None else edit.owner
    return {
        **columns,
        "attributes": attributes,
        "field_sources": {target: told for target, told in sources.items() if told},
        "owner_id": owner_id,
        "owner_name": owner_name,
        "search": fold_for_search(columns["name"], columns["domain"]),
        "updated_at": clock.now(),
    }


async def _change_aliases(
    connection: AsyncConnection, website_id: str, edits: Sequence[CompanyEdit]
) -> None:
    for edit in edits:
        for kind, value in sorted(edit.lost_aliases):
            await connection.execute(
                delete(company_aliases).where(
                    company_aliases.c.website_id == website_id,
                    company_aliases.c.kind == kind,
                    company_aliases.c.value == value,
                    company_aliases.c.company_id == edit.company_id,
                )
            )
    note_changes(connection, "company", website_id, [edit.company_id for edit in edits])
    added: list[Row] = [
        {
            "website_id": website_id,
            "kind": kind,
            "value": value,
            "company_id": edit.company_id,
            "own_company_id": None,
        }
        for edit in edits
        for kind, value in sorted(edit.added_aliases)
    ]
    added.sort(key=lambda row: (row["kind"], row["value"]))
    await upsert(connection, company_aliases, added, key=("website_id", "kind", "value"))


async def aliases_of(
    connection: AsyncConnection, website_id: str, company_id: str
) -> list[StoredRow]:
    """kind, value and own_company_id, which is set for those of a company that was merged into it."""
    a = company_aliases.c
    rows = await connection.execute(
        select(a.kind, a.value, a.own_company_id)
        .where(a.website_id == website_id, a.company_id == company_id)
        .order_by(a.kind, a.value)
    )
    return list(rows)


async def holders_of(
    connection: AsyncConnection, website_id: str, aliases: Sequence[Alias]
) -> dict[Alias, StoredRow]:
    """By alias, the company that counts for it: id, name, domain, deleted_at, field_sources."""
    found: dict[Alias, StoredRow] = {}
    for kind, value in sorted(set(aliases)):
        row = (
            await connection.execute(
                select(*(companies.c[name] for name in _HOLDER))
                .join_from(
                    company_aliases,
                    companies,
                    (companies.c.website_id == company_aliases.c.website_id)
                    & (companies.c.id == company_aliases.c.company_id),
                )
                .where(
                    company_aliases.c.website_id == website_id,
                    company_aliases.c.kind == kind,
                    company_aliases.c.value == value,
                )
            )
        ).one_or_none()
        if row is not None:
            found[kind, value] = row
    return found


_HOLDER = ("id", "name", "domain", "deleted_at", "field_sources")


async def memberships_of(
    connection: AsyncConnection, website_id: str, contact_id: str
) -> list[StoredRow]:
    """All of a contact, the latest last, with the company's name."""
    m = contact_companies.c
    names = ("id", "company_id", "own_contact_id", "source", "since", "until", "replaced_another")
    rows = await connection.execute(
        select(*(m[name] for name in names), companies.c.name)
        .join_from(
            contact_companies,
            companies,
            (companies.c.website_id == m.website_id) & (companies.c.id == m.company_id),
        )
        .where(m.website_id == website_id, m.contact_id == contact_id)
        .order_by(m.since, m.id)
    )
    return list(rows)


async def write_memberships(
    connection: AsyncConnection,
    website_id: str,
    told: Mapping[str, tuple[str, Sequence[MembershipEdit]]],
    known_since: Mapping[str, datetime],
) -> None:
    """`told`: by contact who tells it and what; `known_since`: since when the contacts are known."""
    opened: list[Row] = []
    changed: list[Row] = []
    for contact_id, (source, edits) in sorted(told.items()):
        for edit in edits:
            values: Row = {
                "website_id": website_id,
                "id": edit.membership_id or new_id(),
                "since": edit.since or known_since[contact_id],
                "until": edit.until,
                "replaced_another": edit.limits,
            }
            if edit.membership_id is not None:
                changed.append(values)
            else:
                opened.append(
                    {
                        **values,
                        "contact_id": contact_id,
                        "company_id": edit.company_id,
                        "source": source,
                    }
                )
    await update_rows(connection, contact_companies, changed, key=_KEY)
    await upsert(
        connection, contact_companies, await landed(connection, website_id, opened), key=_KEY
    )
