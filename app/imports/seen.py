"""What the rows of a chunk meet: stored contacts and companies, and earlier rows of the same file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.edited import fully_named
from app.companies.store import find_companies
from app.contacts.erased import find_erased
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.upsert import Row as TableRow
from app.imports.known import Known, find_holders
from app.imports.rows import Row
from app.imports.tables import import_rows
from app.imports.work import Work
from app.normal import normal_address
from app.records import CompanyRef

_BETWEEN = re.compile(r"[\s,;:|<>\"'()\[\]]+")


@dataclass(slots=True)
class Seen:
    """What the chunk needs to know of the database, and of earlier rows of the file."""

    holders: dict[str, list[Known]]
    companies: dict[tuple[str, str], StoredRow]
    lines: dict[str, int] = field(default_factory=dict)
    contact_lines: dict[str, int] = field(default_factory=dict)
    company_keys: set[str] = field(default_factory=set)
    given_domains: set[str] = field(default_factory=set)
    erased: set[str] = field(default_factory=set)

    def add(self, planned: Iterable[TableRow]) -> None:
        """Rows of the file behind those that were looked up, in their order."""
        for row in planned:
            if row["outcome"] == "error":
                continue
            self.lines.setdefault(row["email_norm"], row["line"])
            if row["contact_id"] is not None:
                self.contact_lines.setdefault(row["contact_id"], row["line"])
            if row["company_key"] is not None:
                self.company_keys.add(row["company_key"])


async def look_up(connection: AsyncConnection, work: Work, chunk: Sequence[Row]) -> Seen:
    good = [row for row in chunk if not row.problems]
    addresses = sorted({row.email_norm for row in good})
    refs = fully_named([row.company for row in good if row.company is not None])
    seen = Seen(
        await find_holders(connection, work.website_id, addresses),
        await find_companies(connection, work.website_id, refs) if refs else {},
    )
    # A row that is bad for another reason keeps its cells: they must not hold whoever was erased.
    named = {address for row in chunk for address in addresses_kept(row)}
    seen.erased = await find_erased(connection, work.website_id, named)
    first = chunk[0].line
    seen.lines = await earlier_lines(connection, work, "email_norm", addresses, first)
    ids = sorted({known.row.id for found in seen.holders.values() for known in found})
    seen.contact_lines = await earlier_lines(connection, work, "contact_id", ids, first)
    keys = sorted({key for row in good if row.description for key in company_keys(row, seen)})
    seen.company_keys = set(await earlier_lines(connection, work, "company_key", keys, first))
    return seen


async def earlier_lines(
    connection: AsyncConnection, work: Work, column: str, values: Sequence[str], before: int
) -> dict[str, int]:
    """The first earlier line of the file with each of these values, among rows that are no errors."""
    if not values:
        return {}
    rows = await connection.execute(
        select(import_rows.c[column], func.min(import_rows.c.line))
        .where(
            import_rows.c.website_id == work.website_id,
            import_rows.c.import_id == work.row_id,
            is_one_of(import_rows.c[column], values),
            import_rows.c.outcome != "error",
            import_rows.c.line < before,
        )
        .group_by(import_rows.c[column])
    )
    return {row[0]: row[1] for row in rows}


def addresses_in(row: Row) -> set[str]:
    """What stands in its cells, in normal form, also between other words."""
    cells = " ".join(cell for cell in row.cells if "@" in cell)
    found = (normal_address(word) for word in _BETWEEN.split(cells) if "@" in word)
    return {address for address in found if address is not None}


def addresses_kept(row: Row) -> set[str]:
    """The addresses that are kept of a row: its cells, when it is bad; else its own, and values that are one."""
    if row.problems:
        return {row.email_norm, *addresses_in(row)}
    told: list[Any] = [*row.told.values(), row.segments, row.description]
    texts = [one for value in told for one in (value if isinstance(value, list) else (value,))]
    found = (normal_address(text) for text in texts if isinstance(text, str) and "@" in text)
    return {row.email_norm, *(address for address in found if address is not None)}


def company_keys(row: Row, seen: Seen) -> list[str]:
    """By which other rows may name the same company: its id, or of a new one its domain and its name."""
    if row.company is None:
        return []
    found = seen.companies.get(row.company.key)
    if found is not None:
        return [found.id]
    named = CompanyRef(row.company.name, None).key if row.company.name else row.company.key
    return list(dict.fromkeys([":".join(row.company.key), ":".join(named)]))
