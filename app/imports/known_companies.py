"""The stored companies that the rows of a file are about, and what they go by, as they are now."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.store import Alias
from app.companies.tables import companies, company_aliases
from app.contacts.attributes import Attribute
from app.db.base import StoredRow
from app.db.lookup import find_rows
from app.imports.known import value_at

_MOST_READ = 5_000
_READ = (
    "name", "domain", "attributes", "field_sources", "crisp_name", "deleted_at", "merged_into",
    "owner_id",
)  # fmt: skip


@dataclass(slots=True)
class KnownCompany:
    row: StoredRow

    def at(self, target: str) -> Any:
        return value_at(self.row, target)

    @property
    def digest(self) -> str:
        """What a plan was made from."""
        row = self.row
        told = [row.name, row.domain, row.attributes, row.field_sources, row.deleted_at]
        raw = orjson.dumps([*told, row.merged_into], option=orjson.OPT_SORT_KEYS, default=str)
        return hashlib.blake2b(raw, digest_size=12).hexdigest()


async def types_of_attributes(connection: AsyncConnection, website_id: str) -> dict[str, Attribute]:
    """By key, as companies have them: nobody defines those. Of many companies the newest tell."""
    rows = await connection.execute(
        select(companies.c.attributes)
        .where(companies.c.website_id == website_id)
        .order_by(companies.c.id.desc())
        .limit(_MOST_READ)
    )
    found: dict[str, list[Any]] = {}
    for row in rows:
        for key, value in row.attributes.items():
            found.setdefault(key, []).append(value)
    return {key: _attribute(key, values) for key, values in sorted(found.items())}


def _attribute(key: str, values: Sequence[Any]) -> Attribute:
    kinds = {type(value) for value in values}
    if kinds == {list}:
        choices = dict.fromkeys(str(one) for value in values for one in value)
        return Attribute(key, "multi_choice", tuple(choices))
    if kinds <= {int, float} and bool not in kinds:
        return Attribute(key, "integer" if kinds == {int} else "decimal")
    return Attribute(key, "yes_no" if kinds == {bool} else "text")


async def companies_by_id(
    connection: AsyncConnection, website_id: str, ids: Collection[str]
) -> dict[str, KnownCompany]:
    """Live, hidden or merged."""
    asked = [(company_id,) for company_id in sorted(set(ids))]
    rows = await find_rows(connection, companies, website_id, ("id",), asked, _READ)
    return {row.id: KnownCompany(row) for row in rows}


async def companies_by_alias(
    connection: AsyncConnection, website_id: str, aliases: Collection[Alias]
) -> dict[Alias, KnownCompany]:
    """The company that counts for each; aliases of nobody are missing."""
    rows = await find_rows(
        connection, company_aliases, website_id, ("kind", "value"), sorted(set(aliases)),
        ("company_id",),
    )  # fmt: skip
    known = await companies_by_id(connection, website_id, {row.company_id for row in rows})
    return {(row.kind, row.value): known[row.company_id] for row in rows}
