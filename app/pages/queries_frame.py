"""What every page shows: the websites, whether the chosen one is in order, how much is unmatched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.db.together import ask_together
from app.matching.settled import is_open
from app.pages.rows import AnyRow, AnySelect
from app.pages.states import UNFINISHED
from app.sync.tables import sync_runs
from app.webhooks.hook_figures import COUNTED_EVERYWHERE, dead_query
from app.websites.tables import websites

RUNS = 3


async def all_websites(connection: AsyncConnection) -> Sequence[AnyRow]:
    """Oldest connection first, so that the default website stays the same when others join; after
    them those of which nothing is read.
    """
    read = case((websites.c.status.in_(("connected", "paused")), 0), else_=1)
    query = select(
        websites.c.id,
        websites.c.name,
        websites.c.domain,
        websites.c.status,
        websites.c.attention,
        websites.c.time_zone,
        websites.c.business_hours,
        websites.c.connected_at,
        websites.c.people_reread_at,
        websites.c.import_custom_data,
    )
    query = query.order_by(read, websites.c.connected_at, websites.c.id)
    return (await connection.execute(query)).all()


@dataclass(frozen=True, slots=True)
class Standing:
    """`runs`: unfinished ones first, then the newest. `unmatched`: without those that somebody settled
    otherwise than by a contact. Both numbers are at most COUNTED_EVERYWHERE: every page asks.
    """

    runs: Sequence[AnyRow]
    unmatched: int
    dead_letters: int


async def standing_of(connection: AsyncConnection, website_id: str) -> Standing:
    """One statement."""
    runs, (unmatched,), (letters,) = await ask_together(
        connection, _latest_runs(website_id), _unmatched(website_id), dead_query(website_id)
    )
    return Standing(runs, unmatched.unmatched, min(letters.dead, COUNTED_EVERYWHERE))


def _latest_runs(website_id: str) -> AnySelect:
    finished = case((sync_runs.c.state.in_(UNFINISHED), 0), else_=1)
    return (
        select(sync_runs)
        .where(sync_runs.c.website_id == website_id)
        .order_by(finished, sync_runs.c.created_at.desc(), sync_runs.c.id)
        .limit(RUNS)
    )


def _unmatched(website_id: str) -> AnySelect:
    some = (
        select(conversations.c.id)
        .where(
            conversations.c.website_id == website_id,
            conversations.c.unmatched_reason.is_not(None),
            conversations.c.deleted_at.is_(None),
            is_open(website_id),
        )
        .limit(COUNTED_EVERYWHERE)
        .subquery()
    )
    return select(func.count().label("unmatched")).select_from(some)
