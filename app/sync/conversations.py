"""Reading conversations: the list in windows, then what is too fresh for them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.conversations.tables import conversations
from app.crisp import translate
from app.crisp.paging import (
    PER_PAGE,
    Fetch,
    Page,
    end_when_gone,
    end_when_refused,
    list_walk,
    walk_list,
)
from app.records import Batch
from app.sync.pull import LAG_MS, LOOK_BACK_MS, Pull, Step, split_rejected
from app.sync.windows import ListState, begin, go_on, walk_windows
from app.websites.tables import websites

RESCAN_MS = 48 * 3_600_000
"""Once a day the incremental run looks back this far (FAILURES case 46)."""


async def list_conversations(pull: Pull, more_threads: asyncio.Event) -> None:
    """All windows of this run, then the tail; `more_threads` is set whenever rows were saved."""
    state = _state_of(pull)
    listed = state.listed
    async for page, _state in walk_windows(state, lambda f, t: fetch_conversations(pull, f, t)):
        if state.missed_page is not None:
            state.note_hole(state.lower_ms)
            pull.suspect(f"Page {state.missed_page} of the conversations came empty")
        if state.unreachable_ms is not None:
            state.note_hole(state.unreachable_ms)
            pull.suspect("Crisp promised more conversations than it showed")
        await save_conversations(
            pull,
            page,
            checkpoint={"conversations": state.as_json()},
            counted=state.listed - listed,
        )
        listed = state.listed
        _tell_total(pull, state)
        more_threads.set()
    if pull.claim.kind != "backfill":
        await _list_newest(pull, state.to_ms, more_threads)


def _state_of(pull: Pull) -> ListState:
    stored = pull.claim.checkpoint.get("conversations")
    if stored:
        return go_on(stored)
    end_ms = pull.client.clock.now_ms() - LAG_MS
    wanted = pull.claim.window_from, pull.claim.window_to
    if wanted[0] is not None and wanted[1] is not None:
        return begin(clock.to_ms(wanted[0]), min(clock.to_ms(wanted[1]) - 1, end_ms))
    return begin(_from_ms(pull, end_ms), end_ms)


def _from_ms(pull: Pull, end_ms: int) -> int:
    read_to = pull.website.conversations_read_to_ms
    if pull.claim.kind == "audit":
        # What the first import was told to leave out is not missing.
        return clock.to_ms(pull.rules.import_since) if pull.rules.import_since else 0
    if pull.claim.kind == "full" or read_to is None:
        since = pull.rules.import_since
        first = pull.website.first_imported_at is None
        return clock.to_ms(since) if since is not None and first else 0
    if pull.website.rescanned_on == _day(end_ms):
        return int(max(0, read_to - LOOK_BACK_MS))
    hole_ms = pull.website.conversations_hole_ms
    return int(max(0, min(read_to - RESCAN_MS, read_to if hole_ms is None else hole_ms)))


def _day(ms: int) -> str:
    return clock.iso_ms(ms)[:10]


def fetch_conversations(pull: Pull, from_ms: int, to_ms: int | None) -> Fetch:
    params: dict[str, str | int] = {
        "per_page": PER_PAGE,
        "include_empty": 1,
        "order_date_updated": 1,
        "filter_date_start": clock.iso_ms(from_ms),
    }
    if to_ms is not None:
        params["filter_date_end"] = clock.iso_ms(to_ms)
    return end_when_gone(lambda number: pull.get_page("conversations", number, params))


async def save_conversations(
    pull: Pull,
    page: Page,
    *,
    direct: bool = False,
    checkpoint: Mapping[str, Any] | None = None,
    counted: int | None = None,
) -> None:
    """`counted` where a page's rows do not all count, or do not count for the first time."""
    records, rejected = split_rejected(
        [translate.conversation(item, page.asked_ms, direct=direct) for item in page.items]
    )
    await pull.save(
        Batch(pull.website_id, conversations=records),
        rejected=rejected,
        checkpoint=checkpoint,
        counts={"conversations_done": len(records) if counted is None else counted},
    )


async def _list_newest(pull: Pull, since_ms: int, more_threads: asyncio.Event) -> None:
    """What changed after the frozen end. Not proved complete: the next run's window reads it again."""
    stored = pull.claim.checkpoint.get("newest_conversations")
    walk = list_walk(stored, guess=1, confirm=0)
    fetch = end_when_refused(fetch_conversations(pull, since_ms, None))
    rows = walk.rows
    async for page in walk_list(fetch, walk):
        await save_conversations(
            pull,
            page,
            checkpoint={"newest_conversations": walk.as_json()},
            counted=walk.rows - rows,
        )
        rows = walk.rows
        more_threads.set()


def _tell_total(pull: Pull, state: ListState) -> None:
    """An estimate while windows are still to come, exact at the end."""
    left = (state.page or 0) * PER_PAGE
    pull.claim.counts["conversations_total"] = state.listed + left


def read_to(pull: Pull) -> Step:
    """The step that moves the watermark to the frozen end, once the whole run is in.

    Where the list had a hole the watermark stays, so that the next run reads what changed since once
    more. On a first import there is none to keep: the hole is remembered, and read again by the next
    run and then once a day, until it is closed.
    """
    stored = pull.claim.checkpoint["conversations"]
    values: dict[str, Any] = {"rescanned_on": _day(stored["to_ms"])}
    if stored.get("hole_from_ms") is None:
        values["conversations_read_to_ms"] = stored["to_ms"]
        if stored["from_ms"] <= (pull.website.conversations_hole_ms or 0):
            values["conversations_hole_ms"] = None
    elif pull.website.conversations_read_to_ms is None:
        values["conversations_read_to_ms"] = stored["to_ms"]
        values |= {"conversations_hole_ms": stored["hole_from_ms"], "rescanned_on": None}

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            update(websites).where(websites.c.id == pull.website_id).values(**values)
        )

    return work


async def count_live(connection: AsyncConnection, website_id: str) -> int:
    return int(
        await connection.scalar(
            select(func.count())
            .select_from(conversations)
            .where(conversations.c.website_id == website_id, conversations.c.deleted_at.is_(None))
        )
        or 0
    )
