"""Companies that a person merged: each row keeps whose it is by itself, so that nothing is lost (SPEC D6).

`company_id` of an alias, a membership or a tie is the live company it counts for, `own_company_id`
the merged one it belongs to by itself. To merge and to take it back is the same step: what belongs to
some companies by itself counts for another one from now on.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Table, case, func, null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.companies.tables import companies, company_aliases, contact_companies, domain_ties
from app.db.changes import note_changes
from app.db.lookup import find_rows
from app.db.upsert import Row


async def landing_of(
    connection: AsyncConnection, website_id: str, ids: Collection[str]
) -> dict[str, str]:
    """Of these companies the merged ones, and the live one that each counts for."""
    asked = [(company_id,) for company_id in sorted(ids)]
    rows = await find_rows(connection, companies, website_id, ("id",), asked, ("merged_into",))
    return {row.id: row.merged_into for row in rows if row.merged_into is not None}


async def landed(connection: AsyncConnection, website_id: str, rows: Sequence[Row]) -> list[Row]:
    """Memberships as they are to be written, from such whose `company_id` may be of a merged company."""
    landing = await landing_of(connection, website_id, {row["company_id"] for row in rows})
    return [
        {
            **row,
            "company_id": landing.get(row["company_id"], row["company_id"]),
            "own_company_id": row["company_id"] if row["company_id"] in landing else None,
        }
        for row in rows
    ]


async def regroup_companies(
    connection: AsyncConnection, website_id: str, own: Collection[str], counted: str, counts: str
) -> None:
    """What belongs to the companies `own` by itself counted for `counted`, and counts for `counts` now.

    The caller holds the website's lock and links the conversations of `counted` and `counts` anew.
    """
    for table in (company_aliases, contact_companies, domain_ties):
        await move_own(connection, table, "company_id", website_id, own, counted, counts)
    moment = clock.now()
    ids = sorted(own)
    mine = companies.c.id == counts
    await connection.execute(
        update(companies)
        .where(companies.c.website_id == website_id, companies.c.id.in_(ids))
        .values(
            merged_into=case((mine, null()), else_=counts),
            deleted_at=case((mine, null()), else_=func.coalesce(companies.c.deleted_at, moment)),
            updated_at=moment,
        )
    )
    note_changes(connection, "company", website_id, sorted({*ids, counted, counts}))


async def move_own(
    connection: AsyncConnection,
    table: Table,
    column: str,
    website_id: str,
    own: Collection[str],
    counted: str,
    counts: str,
) -> None:
    """In `column` of a table, and in `own_<column>`, which is empty where both are the same."""
    there, kept = table.c[column], table.c[f"own_{column}"]
    own_id: Any = func.coalesce(kept, there)
    moved = await connection.execute(
        update(table)
        .where(table.c.website_id == website_id, there == counted, own_id.in_(sorted(own)))
        .values({column: counts, f"own_{column}": case((own_id != counts, own_id))})
        .returning(*([table.c.id] if "id" in table.c else [there]))
    )
    if table is contact_companies:
        note_changes(connection, "membership", website_id, moved.scalars())
