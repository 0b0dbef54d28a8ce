"""The contacts of a website as a CSV file that, imported again, makes the same contacts (SPEC I12, P5).

The companies that no contact belongs to, and what else a company goes by: app/imports/company_export.py.
"""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, contact_companies
from app.contacts.custom_keys import custom_key
from app.contacts.lists import joined
from app.contacts.readers import text_of
from app.contacts.tables import contact_emails, contacts
from app.db.base import StoredRow
from app.db.session import Database
from app.errors import Refused
from app.imports.columns import CUSTOM, RESERVED, TARGETS
from app.normal import normal_address
from app.spreadsheet import defused

CHUNK = 500
FIELDS = (
    "email", "name", "phone", "avatar", "job_title", "role", "company_name", "company_url",
    "company_description", "country", "region", "city", "time_zone", "locales", "segments",
    "created", "last_active",
)  # fmt: skip
"""Names that app/imports/suggest.py knows."""
_READ = (
    "email", "name", "phone", "avatar", "attributes", "segments", "signed_up_at", "last_active_at",
)  # fmt: skip


async def contact_lines(db: Database, website_id: str) -> AsyncIterator[str]:
    """Lines of CSV, contacts in the order of their ids. One without any address cannot be imported
    again and is left out; so is custom data that Crisp keeps (`data.…`), which comes with the next pull.
    """
    keys = await custom_keys(db, website_id)
    yield csv_line([*FIELDS, *(f"{CUSTOM}{key}" for key in keys)])
    after = ""
    while True:
        async with db.read() as connection:
            rows = await next_rows(connection, contacts, website_id, after, _READ)
            if not rows:
                return
            ids = [row.id for row in rows]
            addresses = await _addresses(connection, website_id, ids)
            belongings = await _companies(connection, website_id, ids)
        after = rows[-1].id
        for row in rows:
            if row.id in addresses:
                email = _address(row, addresses[row.id])
                company = _company(row, belongings.get(row.id, ()))
                yield csv_line(_cells(row, email, company, keys))


async def with_mark(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    """As bytes of a file; Excel takes one without this mark for one of its own code page."""
    yield b"\xef\xbb\xbf"
    async for line in lines:
        yield line.encode()


async def custom_keys(
    db: Database, website_id: str, table: Table = contacts, reserved: Collection[str] = RESERVED
) -> list[str]:
    """Of all contacts, or rows of another table with attributes, those that a file can name."""
    found: set[str] = set()
    after = ""
    while True:
        async with db.read() as connection:
            chunk = await next_rows(connection, table, website_id, after, ("attributes",))
        if not chunk:
            return sorted(key for key in found.difference(reserved) if _is_good(key))
        after = chunk[-1].id
        found.update(key for row in chunk for key in row.attributes)


def _is_good(key: str) -> bool:
    try:
        return custom_key(key) == key
    except Refused:
        return False


async def next_rows(
    connection: AsyncConnection, table: Table, website_id: str, after: str, names: Sequence[str]
) -> Sequence[StoredRow]:
    """The next CHUNK live rows behind the id `after`, in the order of their ids: id and columns `names`."""
    c = table.c
    rows = await connection.execute(
        select(c.id, *(c[name] for name in names))
        .where(c.website_id == website_id, c.deleted_at.is_(None), c.id > after)
        .order_by(c.id)
        .limit(CHUNK)
    )
    return rows.all()


async def _addresses(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, list[str]]:
    rows = await connection.execute(
        select(contact_emails.c.contact_id, contact_emails.c.email_norm)
        .where(contact_emails.c.website_id == website_id, contact_emails.c.contact_id.in_(ids))
        .order_by(contact_emails.c.is_primary.desc(), contact_emails.c.email_norm)
    )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row.contact_id, []).append(row.email_norm)
    return found


def _address(row: StoredRow, addresses: Sequence[str]) -> str:
    """As it was written, where that is still one of its addresses."""
    return row.email if normal_address(row.email) in addresses else addresses[0]


async def _companies(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, list[StoredRow]]:
    link = contact_companies
    rows = await connection.execute(
        select(link.c.contact_id, companies.c.name, companies.c.domain, companies.c.attributes)
        .join_from(
            link,
            companies,
            (link.c.website_id == companies.c.website_id) & (link.c.company_id == companies.c.id),
        )
        .where(
            link.c.website_id == website_id,
            link.c.contact_id.in_(ids),
            link.c.until.is_(None),
        )
        .order_by(link.c.since, link.c.id)
    )
    found: dict[str, list[StoredRow]] = {}
    for row in rows:
        found.setdefault(row.contact_id, []).append(row)
    return found


def _company(row: StoredRow, belongings: Sequence[StoredRow]) -> StoredRow | None:
    """Of several the one whose name its own attribute tells, else the first."""
    told = row.attributes.get("company_name")
    named = [company for company in belongings if company.name == told]
    return next(iter([*named, *belongings]), None)


def _cells(row: StoredRow, email: str, company: StoredRow | None, keys: Sequence[str]) -> list[str]:
    told: dict[str, Any] = {
        "email": email,
        "name": row.name,
        "segments": joined(row.segments, "|,"),
        **{field: _at(row, target) for field, target in TARGETS.items()},
    }
    if company is not None:
        # One that was told by its domain alone is called like that; nobody told this contact so.
        unnamed = company.name == company.domain and "company_name" not in row.attributes
        told |= {
            "company_name": None if unnamed else company.name,
            "company_url": f"https://{company.domain}" if company.domain else None,
            "company_description": company.attributes.get("description"),
        }
    attributes: Mapping[str, Any] = row.attributes
    return [text_of(told.get(field)) for field in FIELDS] + [
        text_of(attributes.get(k)) for k in keys
    ]


def _at(row: StoredRow, target: str) -> Any:
    if target.startswith("attributes."):
        return row.attributes.get(target.removeprefix("attributes."))
    return getattr(row, target)


def csv_line(cells: Sequence[str]) -> str:
    """Without what a spreadsheet would take for a formula (SPEC P5)."""
    text = io.StringIO()
    csv.writer(text).writerow([defused(one) for one in cells])
    return text.getvalue()
