"""People removed in Crisp become tombstones (SPEC D4)."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.mapping import COLUMNS
from app.contacts.merge import UNSEEN
from app.contacts.tables import contacts
from app.db.base import StoredRow, new_id
from app.db.one_of import is_one_of
from app.db.upsert import Row, update_rows, upsert
from app.records import is_removed

_KEY = ("website_id", "id")


async def bury_contacts(
    connection: AsyncConnection, website_id: str, removed: Mapping[str, int]
) -> set[str]:
    """People ids removed in Crisp, and when that was observed, epoch ms: tombstones, also for unknown
    ones, which a page fetched before would bring in otherwise. Ids of the contacts that were live.
    """
    rows = await connection.execute(
        select(contacts).where(
            contacts.c.website_id == website_id, is_one_of(contacts.c.crisp_people_id, removed)
        )
    )
    known: dict[str, StoredRow] = {row.crisp_people_id: row for row in rows}
    fresh: list[Row] = []
    buried: list[Row] = []
    live: set[str] = set()
    for people_id, observed_ms in sorted(removed.items()):
        row = known.get(people_id)
        if row is None:
            fresh.append(_tombstone(website_id, people_id, observed_ms))
        elif observed_ms > (row.removed_observed_ms or 0):
            gone = is_removed(observed_ms, row.direct_ms)
            buried.append(_buried(row, observed_ms, gone=gone))
            if gone and row.deleted_at is None:
                live.add(row.id)
    await upsert(connection, contacts, _ordered(fresh), key=_KEY, update=())
    await update_rows(connection, contacts, _ordered(buried), key=_KEY)
    return live


def _ordered(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["id"]))


def _tombstone(website_id: str, people_id: str, observed_ms: int) -> Row:
    moment = clock.now()
    return {
        **UNSEEN,
        "website_id": website_id,
        "id": new_id(),
        "crisp_people_id": people_id,
        **dict.fromkeys(COLUMNS),
        "attributes": {},
        "segments": [],
        "segment_sources": {},
        "source": "crisp",
        "deleted_at": clock.from_ms(observed_ms),
        "created_at": moment,
        "updated_at": moment,
        "search": "",
        "crisp_fields": {},
        "field_versions": {},
        "removed_observed_ms": observed_ms,
    }


def _buried(row: StoredRow, observed_ms: int, *, gone: bool) -> Row:
    decided = row.hidden_at is not None or row.merged_into is not None
    removed_at = clock.from_ms(observed_ms) if gone else row.deleted_at
    return {
        "website_id": row.website_id,
        "id": row.id,
        "removed_observed_ms": observed_ms,
        "deleted_at": row.deleted_at if decided else removed_at,
    }
