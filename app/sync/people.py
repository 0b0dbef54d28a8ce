"""Reading people. Crisp can filter them by creation date only (crisp/REFERENCE.md section 4.6).

A full run reads all of them; an incremental one the new ones, and each day all profiles again,
a few pages at a time, since there is no query for changed ones (SPEC S2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.tables import contacts
from app.crisp.errors import CrispError
from app.crisp.paging import (
    CONFIRM_EMPTY,
    PER_PAGE,
    Fetch,
    Search,
    ask_next,
    list_walk,
    walk_list,
)
from app.records import Batch
from app.sync.people_pages import fetch_people, save_people
from app.sync.pull import LAG_MS, LOOK_BACK_MS, Pull, Step
from app.sync.windows import begin, go_on, walk_windows
from app.websites.tables import websites

REREAD_EVERY = timedelta(hours=24)
RUNS_PER_REREAD = 96
_HOW_FAR = ("walk", "windows", "newest")
TRIES_FOR_COMPLETENESS = 2


async def pull_all_people(pull: Pull) -> None:
    """Every profile; read again when fewer were met than Crisp counts (FAILURES case 28)."""
    state = dict(pull.claim.checkpoint.get("people") or {})
    if state.get("done"):
        return
    if "to_ms" not in state:
        total = await _ask_total(pull)
        state = {"to_ms": pull.client.clock.now_ms() - LAG_MS, "began_ms": pull.begin_ms()}
        state |= {"total": total, "tries": 0}
    while True:
        await _walk(pull, state)
        short = await _is_short(pull, state)
        if short and "newest" not in state:
            # Some of those counted may have been removed since: only the count of now can accuse.
            state["total"] = await _ask_total(pull)
        # Whoever is counted now came before the window's end, or is among the newest.
        await _pull_newest(pull, state, CONFIRM_EMPTY if short else 0)
        if not await _is_short(pull, state):
            break
        state["tries"] += 1
        if state["tries"] >= TRIES_FOR_COMPLETENESS:
            met = await _count_met(pull, state["began_ms"])
            pull.suspect(f"Crisp counts {state['total']} people, {met} could be read")
            break
        state = {key: value for key, value in state.items() if key not in _HOW_FAR}
    await pull.save(
        Batch(pull.website_id),
        _read_to(pull, state["to_ms"], reread=True),
        checkpoint={"people": {**state, "done": True}},
    )


async def pull_new_people(pull: Pull) -> None:
    """Those created since the last run, and the next pages of the daily second reading."""
    state = dict(pull.claim.checkpoint.get("people") or {})
    if state.get("done"):
        return
    if "to_ms" not in state:
        read_to = pull.website.people_read_to_ms or 0
        state = {
            "from_ms": max(0, read_to - LOOK_BACK_MS),
            "to_ms": pull.client.clock.now_ms() - LAG_MS,
            "total": None,
        }
    await _walk(pull, state)
    await _pull_newest(pull, state, confirm=0)
    await _reread_some(pull)
    await pull.save(
        Batch(pull.website_id),
        _read_to(pull, state["to_ms"], reread=False),
        checkpoint={"people": {**state, "done": True}},
    )


async def _walk(pull: Pull, state: dict[str, Any]) -> None:
    """Last page to first; `state["walk"]` is how far it is."""
    fetch = fetch_people(pull, state.get("from_ms"), state["to_ms"])
    guess = math.ceil(state["total"] / PER_PAGE) if state["total"] else 1
    walk = list_walk(state.get("walk"), guess, CONFIRM_EMPTY)
    rows = walk.rows
    async for page in walk_list(fetch, walk):
        state["walk"] = walk.as_json()
        if walk.search.ended:
            total = (walk.search.last - 1) * PER_PAGE + walk.search.rows
            pull.claim.counts["people_total"] = total
        await save_people(pull, page, checkpoint={"people": dict(state)}, counted=walk.rows - rows)
        rows = walk.rows
    if walk.search.promises_more and await _may_be_short(pull, state):
        await _walk_windows(pull, state)


async def _may_be_short(pull: Pull, state: Mapping[str, Any]) -> bool:
    return state["total"] is None or await _is_short(pull, state)


async def _walk_windows(pull: Pull, state: dict[str, Any]) -> None:
    """Behind a limit on pages: the list in windows of creation time (FAILURES case 42)."""
    stored = state.get("windows")
    windows = go_on(stored) if stored else begin(state.get("from_ms") or 0, state["to_ms"])
    listed = windows.listed

    def fetching(from_ms: int, to_ms: int) -> Fetch:
        return fetch_people(pull, from_ms, to_ms)

    async for page, _state in walk_windows(windows, fetching, by="created_at"):
        state["windows"] = windows.as_json()
        await save_people(
            pull, page, checkpoint={"people": dict(state)}, counted=windows.listed - listed
        )
        listed = windows.listed
    if windows.unreachable_ms is not None:
        pull.suspect("Crisp promised more people than it showed")


async def _pull_newest(pull: Pull, state: dict[str, Any], confirm: int) -> None:
    """What is too fresh for the frozen window; the next run reads it again, inside its window."""
    fetch = fetch_people(pull, state["to_ms"], None)
    walk = list_walk(state.get("newest"), 1, confirm)
    rows = walk.rows
    async for page in walk_list(fetch, walk):
        state["newest"] = walk.as_json()
        await save_people(pull, page, checkpoint={"people": dict(state)}, counted=walk.rows - rows)
        rows = walk.rows


async def _reread_some(pull: Pull) -> None:
    """A 96th of all profiles at each run, from the last page to the first, once a day."""
    before = pull.website.people_reread_at
    state: dict[str, Any] | None = pull.website.rolling_read
    if state is None:
        if before is not None and clock.now() - before < REREAD_EVERY:
            return
        state = await _begin_rereading(pull)
    fetch = fetch_people(pull, None, state["to_ms"])
    stored = pull.claim.checkpoint.get("reread") or {}
    for left in range(stored.get("left", math.ceil(state["pages"] / RUNS_PER_REREAD)), 0, -1):
        if state["page"] <= 0:
            break
        page = await fetch(state["page"])
        state = {**state, "page": state["page"] - 1}
        checkpoint = {"reread": {"left": left - 1}}
        await save_people(pull, page, _remember(pull, state), checkpoint=checkpoint)


async def _begin_rereading(pull: Pull) -> dict[str, Any]:
    """Find the last page; a list of one page is read with that."""
    stored = pull.claim.checkpoint.get("reread") or {}
    to_ms = stored.get("to_ms") or pull.client.clock.now_ms() - LAG_MS
    fetch = fetch_people(pull, None, to_ms)
    search = Search(**stored.get("search", {}))
    while True:
        page = await ask_next(fetch, search)
        if search.ended:
            break
        checkpoint = {"reread": {"to_ms": to_ms, "search": search.as_json()}}
        await save_people(pull, page, checkpoint=checkpoint, counted=0)
    state = {"to_ms": to_ms, "page": search.last - 1, "pages": search.last}
    checkpoint = {"reread": {}}
    await save_people(
        pull, page, _remember(pull, state), checkpoint=checkpoint, counted=search.rows
    )
    return state


def _remember(pull: Pull, state: Mapping[str, Any]) -> Step:
    ended = state["page"] == 0
    values: dict[str, Any] = {"rolling_read": None if ended else dict(state)}
    if ended:
        values["people_reread_at"] = clock.now()

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(
            update(websites).where(websites.c.id == pull.website_id).values(**values)
        )

    return work


async def _ask_total(pull: Pull) -> int | None:
    """How many people Crisp counts; None where it does not tell (the scope may be missing)."""
    try:
        answer = await pull.get("people/stats")
    except CrispError as error:
        if error.status in {403, 404}:
            return None
        raise
    total = answer.data.get("total") if isinstance(answer.data, dict) else None
    return total if isinstance(total, int) and total >= 0 else None


async def _count_met(pull: Pull, since_ms: int) -> int:
    """Whoever was erased is met as well, and not stored."""
    async with pull.db.read() as connection:
        return len(pull.kept_out) + int(
            await connection.scalar(
                select(func.count())
                .select_from(contacts)
                .where(
                    contacts.c.website_id == pull.website_id,
                    contacts.c.crisp_people_id.is_not(None),
                    contacts.c.seen_ms >= since_ms,
                )
            )
            or 0
        )


async def _is_short(pull: Pull, state: Mapping[str, Any]) -> bool:
    """Whether fewer people were met than Crisp counted.

    Who was erased is met and not kept; what an earlier process met of them is met again by the second try.
    """
    if state["total"] is None:
        return False
    return await _count_met(pull, state["began_ms"]) < int(state["total"])


def _read_to(pull: Pull, to_ms: int, *, reread: bool) -> Any:
    async def work(connection: AsyncConnection) -> None:
        values: dict[str, Any] = {"people_read_to_ms": to_ms}
        if reread:
            values |= {"people_reread_at": clock.now(), "rolling_read": None}
        await connection.execute(
            update(websites).where(websites.c.id == pull.website_id).values(**values)
        )

    return work
