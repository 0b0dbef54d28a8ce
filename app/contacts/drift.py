"""Which people are stored otherwise than Crisp tells them now (SPEC S8).

Compared is what Crisp last told of them: what a person or a CSV wrote over it is no drift (SPEC D7).
When somebody was last active is no drift either: every visit changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.mapping import effective
from app.contacts.merge import merge_contact
from app.contacts.tables import contacts
from app.db.base import StoredRow
from app.db.upsert import Row
from app.records import ContactRecord, Fields

What = Literal["missing", "changed", "removed"]
Differing = dict[str, tuple[What, int]]

LAG_MS = 2 * 60_000
_PASSING = ("active.last", "active.now")


async def contact_drift(
    connection: AsyncConnection,
    website_id: str,
    overrides: Mapping[str, str | None],
    records: Sequence[ContactRecord],
) -> Differing:
    """Crisp's people id to what is wrong and the time of the news, Crisp's epoch ms."""
    told = {record.people_id: record for record in records}
    rows = await connection.execute(
        select(contacts).where(
            contacts.c.website_id == website_id, contacts.c.crisp_people_id.in_(list(told))
        )
    )
    known = {row.crisp_people_id: row for row in rows}
    mapping = effective(overrides)
    differing: Differing = {}
    for people_id, record in told.items():
        row = known.get(people_id)
        if record.version.crisp_ms > record.version.observed_ms - LAG_MS:
            continue
        if row is None:
            differing[people_id] = ("missing", record.version.crisp_ms)
        elif _differs(row, merge_contact(website_id, mapping, row, [record])):
            differing[people_id] = ("changed", record.version.crisp_ms)
    return differing


def _differs(row: StoredRow, merged: Row) -> bool:
    return (
        _lasting(row.crisp_fields) != _lasting(merged["crisp_fields"])
        or row.segment_sources != merged["segment_sources"]
        or row.deleted_at != merged["deleted_at"]
    )


def _lasting(fields: Fields) -> Fields:
    return {path: value for path, value in fields.items() if path not in _PASSING}
