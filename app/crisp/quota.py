"""The budget's rows: what each website used today for what, and until when everybody waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.crisp.tables import quota_pauses, quota_usage
from app.db.upsert import insert_for, lock_key

# Shares of the day kept for the others while a sync runs (SPEC S6).
RESERVES: Mapping[str, float] = {"interactive": 0.05, "hooks": 0.15}

Used = dict[tuple[str, str], int]  # (website_id, purpose) to requests


class Ask(NamedTuple):
    credential: str
    day: str  # UTC, 2026-01-31
    website_id: str
    purpose: str
    requests: int


async def grant(connection: AsyncConnection, ask: Ask, limit: int, sharers: frozenset[str]) -> int:
    """Book up to `ask.requests` requests; how many were granted, 0 when the day's share is used up."""
    await lock_key(connection, f"quota {ask.credential}")
    used = await used_today(connection, ask.credential, ask.day)
    count = max(0, min(ask.requests, allowance(used, ask.website_id, ask.purpose, limit, sharers)))
    if count:
        await book(connection, ask.credential, ask.day, ask.website_id, ask.purpose, count)
    return count


def allowance(
    used: Used, website_id: str, purpose: str, limit: int, sharers: frozenset[str]
) -> int:
    """How many requests more this website may make today for this purpose.

    Other purposes keep what is left of their reserve; a sync also leaves each other syncing
    website what is left of its equal share.
    """
    kept = sum(
        max(0, round(limit * share) - _sum(used, purpose=other))
        for other, share in RESERVES.items()
        if purpose not in {other, "interactive"}
    )
    left = limit - sum(used.values()) - kept
    if purpose != "sync":
        return left
    pool = limit - sum(round(limit * share) for share in RESERVES.values())
    share = pool // max(1, len(sharers))
    for other in sharers - {website_id}:
        left -= max(0, share - _sum(used, purpose="sync", website_id=other))
    return left


def _sum(used: Used, *, purpose: str, website_id: str | None = None) -> int:
    return sum(
        count
        for (website, what), count in used.items()
        if what == purpose and website_id in {None, website}
    )


async def used_today(connection: AsyncConnection, credential: str, day: str) -> Used:
    rows = await connection.execute(
        select(quota_usage.c.website_id, quota_usage.c.purpose, quota_usage.c.used).where(
            quota_usage.c.credential == credential, quota_usage.c.day == day
        )
    )
    return {(row.website_id, row.purpose): row.used for row in rows}


async def book(
    connection: AsyncConnection,
    credential: str,
    day: str,
    website_id: str,
    purpose: str,
    count: int,
) -> None:
    insert = insert_for(connection, quota_usage).values(
        credential=credential, day=day, website_id=website_id, purpose=purpose, used=count
    )
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["credential", "day", "website_id", "purpose"],
            set_={"used": quota_usage.c.used + insert.excluded.used},
        )
    )


async def take_back(connection: AsyncConnection, ask: Ask) -> None:
    """Unbook what was granted and not used; of an erased website it stands under no website."""
    for website_id in (ask.website_id, ""):
        found = await connection.execute(
            update(quota_usage)
            .where(
                quota_usage.c.credential == ask.credential,
                quota_usage.c.day == ask.day,
                quota_usage.c.website_id == website_id,
                quota_usage.c.purpose == ask.purpose,
            )
            .values(used=quota_usage.c.used - ask.requests)
        )
        if found.rowcount:
            return


async def forget_website(connection: AsyncConnection, website_id: str) -> None:
    """Keep how much was used, and not by which website: Crisp counts it all the same."""
    rows = await connection.execute(
        delete(quota_usage).where(quota_usage.c.website_id == website_id).returning(quota_usage)
    )
    for row in rows.all():
        await book(connection, row.credential, row.day, "", row.purpose, row.used)


async def find_pause(connection: AsyncConnection, credential: str) -> tuple[int, str, int] | None:
    """(until in epoch ms, reason, pauses in a row), or None."""
    row = (
        await connection.execute(
            select(quota_pauses.c.until_ms, quota_pauses.c.reason, quota_pauses.c.in_a_row).where(
                quota_pauses.c.credential == credential
            )
        )
    ).one_or_none()
    return None if row is None else (row.until_ms, row.reason, row.in_a_row)


async def store_pause(
    connection: AsyncConnection, credential: str, until_ms: int, reason: str, now_ms: int
) -> tuple[int, str, int]:
    """Keep the longer of the stored pause and this one; what is stored now.

    A refusal while everybody waits already was on its way before: it counts with the first.
    """
    await lock_key(connection, f"quota {credential}")
    found = await find_pause(connection, credential)
    in_a_row = found[2] + (found[0] <= now_ms) if found else 1
    until_ms = max(until_ms, found[0] if found else 0)
    insert = insert_for(connection, quota_pauses).values(
        credential=credential, until_ms=until_ms, reason=reason, in_a_row=in_a_row
    )
    await connection.execute(
        insert.on_conflict_do_update(
            index_elements=["credential"],
            set_={"until_ms": until_ms, "reason": reason, "in_a_row": in_a_row},
        )
    )
    return until_ms, reason, in_a_row


async def clear_pause(connection: AsyncConnection, credential: str, now_ms: int) -> None:
    """Forget a pause that is over; one that another process began meanwhile stays."""
    await connection.execute(
        delete(quota_pauses).where(
            quota_pauses.c.credential == credential, quota_pauses.c.until_ms <= now_ms
        )
    )


async def used_and_pause(
    connection: AsyncConnection, credential: str, day: str
) -> tuple[int, tuple[int, str, int] | None]:
    """(requests used that day by all, what `find_pause` finds); one statement."""
    used = (
        select(func.sum(quota_usage.c.used))
        .where(quota_usage.c.credential == credential, quota_usage.c.day == day)
        .scalar_subquery()
    )
    p = quota_pauses.c
    # From the sum, so that there is a row whether there is a pause or not.
    base = select(used.label("used")).subquery()
    query = select(base.c.used, p.until_ms, p.reason, p.in_a_row).select_from(
        base.outerjoin(quota_pauses, p.credential == credential)
    )
    row = (await connection.execute(query)).one()
    pause = None if row.until_ms is None else (row.until_ms, row.reason, row.in_a_row)
    return int(row.used or 0), pause
