"""The companies of a website as a CSV file that, imported again, makes the same companies (SPEC I12, P5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.store import Alias
from app.companies.tables import companies, company_aliases
from app.contacts import lists
from app.contacts.readers import text_of
from app.db.base import StoredRow
from app.db.lookup import find_rows
from app.db.session import Database
from app.imports.columns import COMPANY_FIELDS, COMPANY_RESERVED, CUSTOM
from app.imports.export import csv_line, custom_keys, next_rows
from app.normal import LONGEST_NORMAL_NAME, normal_company_name

_READ = ("name", "domain", "attributes")


async def company_lines(db: Database, website_id: str) -> AsyncIterator[str]:
    """Lines of CSV, live companies with what else they go by.

    Names and domains of companies that were merged into one are among those of that one. Of a very
    long other name only a hash is kept: it is left out.
    """
    keys = await custom_keys(db, website_id, companies, COMPANY_RESERVED)
    yield csv_line([*COMPANY_FIELDS, *(f"{CUSTOM}{key}" for key in keys)])
    # Of companies with one name the one that is found by the bare name: a file's first row gets it.
    for named in (True, False):
        async for row, aliases in _companies(db, website_id):
            if (("name", normal_company_name(row.name)) in aliases) == named:
                yield csv_line(_cells(row, aliases, keys))


async def _companies(
    db: Database, website_id: str
) -> AsyncIterator[tuple[StoredRow, Sequence[Alias]]]:
    after = ""
    while True:
        async with db.read() as connection:
            rows = await next_rows(connection, companies, website_id, after, _READ)
            if not rows:
                return
            aliases = await _aliases(connection, website_id, [row.id for row in rows])
        after = rows[-1].id
        for row in rows:
            yield row, aliases.get(row.id, [])


async def _aliases(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, list[Alias]]:
    rows = await find_rows(
        connection, company_aliases, website_id, ("company_id",), [(one,) for one in ids],
        ("kind", "value"),
    )  # fmt: skip
    found: dict[str, list[Alias]] = {}
    for row in sorted(rows, key=lambda one: (one.kind, one.value)):
        found.setdefault(row.company_id, []).append((row.kind, row.value))
    return found


def _cells(row: StoredRow, aliases: Sequence[Alias], keys: Sequence[str]) -> list[str]:
    name = normal_company_name(row.name)
    # A company that nobody named yet is shown by its domain, which is no name of it.
    unnamed = row.name == row.domain and ("name", name) not in aliases
    names = [value for kind, value in aliases if kind == "name" and value != name]
    domains = [value for kind, value in aliases if kind == "domain" and value != row.domain]
    return [
        "" if unnamed else row.name,
        f"https://{row.domain}" if row.domain else "",
        text_of(row.attributes.get("description")),
        lists.joined([one for one in names if len(one) <= LONGEST_NORMAL_NAME], "|"),
        lists.joined(domains, "|"),
        *(text_of(row.attributes.get(key)) for key in keys),
    ]
