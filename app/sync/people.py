"""Reading people. Crisp can filter them by creation date only (crisp/REFERENCE.md section 4.6).

A full run reads all of them; an incremental one the new ones, and each day all profiles again,
a few pages at a time, since there is no query for changed ones (SPEC S2).
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.tables import contacts
from app.crisp import translate
from app.crisp.client import refuse_path_part
from app.crisp.errors import CrispError, Gone
from app.crisp.paging import (
    PER_PAGE,
    Fetch,
    Page,
    end_when_gone,
    end_when_refused,
    find_last_page,
    walk_back,
)
from app.records import Batch, ContactRecord, Rejected
from app.sync.pull import LAG_MS, LOOK_BACK_MS, Pull, split_rejected
from app.websites.tables import websites

REREAD_EVERY = timedelta(hours=24)
RUNS_PER_REREAD = 96
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
        met = await _count_met(pull, state["began_ms"])
        state["tries"] += 1
        if state["total"] is None or met >= state["total"]:
            break
        # Some of those counted may have been removed since: only the count of now can accuse.
        state["total"] = await _ask_total(pull)
        if (
            state["total"] is None
            or met >= state["total"]
            or not await _old_ones_missing(pull, state)
        ):
            break
        if state["tries"] >= TRIES_FOR_COMPLETENESS:
            pull.suspect(f"Crisp counts {state['total']} people, {met} could be read")
            break
        state.pop("page", None)
    await _pull_newest(pull, state["to_ms"])
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
    await _pull_newest(pull, state["to_ms"])
    await _reread_some(pull)
    await pull.save(
        Batch(pull.website_id),
        _read_to(pull, state["to_ms"], reread=False),
        checkpoint={"people": {**state, "done": True}},
    )


def fetch_people(pull: Pull, from_ms: int | None, to_ms: int | None) -> Fetch:
    params: dict[str, str | int] = {
        "per_page": PER_PAGE,
        "sort_field": "created_at",
        "sort_order": "descending",
    }
    if from_ms:
        params["filter_date_start"] = clock.iso_ms(from_ms)
    if to_ms:
        params["filter_date_end"] = clock.iso_ms(to_ms)
    fetch = end_when_gone(lambda number: pull.get_page("people/profiles", number, params))
    return end_when_refused(fetch)


async def save_people(
    pull: Pull, page: Page, *, direct: bool = False, checkpoint: Mapping[str, Any] | None = None
) -> None:
    records, rejected = split_rejected(
        [translate.contact(item, page.asked_ms, direct=direct) for item in page.items]
    )
    if pull.rules.import_custom_data:
        records, failed = await _with_custom_data(pull, records)
        rejected += failed
    await pull.save(
        Batch(pull.website_id, contacts=records),
        rejected=rejected,
        checkpoint=checkpoint,
        counts={"people_done": len(records)},
    )


async def _walk(pull: Pull, state: dict[str, Any]) -> None:
    """Last page to first; `state["page"]` is the next one to read."""
    fetch = fetch_people(pull, state.get("from_ms"), state["to_ms"])
    known = None
    if "page" not in state:
        guess = math.ceil(state["total"] / PER_PAGE) if state["total"] else 1
        known = await find_last_page(fetch, guess)
        state["page"] = known.number
        total = (known.number - 1) * PER_PAGE + len(known.items)
        pull.claim.counts["people_total"] = total
    async for page in walk_back(fetch, state["page"], known):
        state["page"] = page.number - 1
        await save_people(pull, page, checkpoint={"people": dict(state)})


async def _pull_newest(pull: Pull, since_ms: int) -> None:
    """What is too fresh for the frozen window; the next run reads it again, inside its window."""
    fetch = fetch_people(pull, since_ms, None)
    last = await find_last_page(fetch, confirm=0)
    async for page in walk_back(fetch, last.number, last):
        await save_people(pull, page)


async def _reread_some(pull: Pull) -> None:
    """A 96th of all profiles at each run, from the last page to the first, once a day."""
    before = pull.website.people_reread_at
    state: dict[str, Any] | None = pull.website.rolling_read
    if state is None:
        if before is not None and clock.now() - before < REREAD_EVERY:
            return
        to_ms = pull.client.clock.now_ms() - LAG_MS
        last = await find_last_page(fetch_people(pull, None, to_ms))
        state = {"to_ms": to_ms, "page": last.number, "pages": last.number}
    fetch = fetch_people(pull, None, state["to_ms"])
    for _ in range(math.ceil(state["pages"] / RUNS_PER_REREAD)):
        if state["page"] > 0:
            await save_people(pull, await fetch(state["page"]))
            state = {**state, "page": state["page"] - 1}
    ended = state["page"] == 0

    async def remember(connection: AsyncConnection) -> None:
        values: dict[str, Any] = {"rolling_read": None if ended else state}
        if ended:
            values["people_reread_at"] = clock.now()
        await connection.execute(
            update(websites).where(websites.c.id == pull.website_id).values(**values)
        )

    await pull.save(Batch(pull.website_id), remember)


async def _with_custom_data(
    pull: Pull, records: list[ContactRecord]
) -> tuple[list[ContactRecord], list[Rejected]]:
    """One request a person, so only where it is switched on (SPEC C6)."""

    async def one(record: ContactRecord) -> ContactRecord | Rejected:
        try:
            answer = await pull.get(f"people/data/{refuse_path_part(record.people_id)}")
        except Gone:
            return record
        except CrispError as error:
            if error.reason or error.status:
                return Rejected("contact", record.people_id, error.message)
            raise
        data = translate.custom_data(answer.data)
        return ContactRecord(
            record.people_id, record.fields, record.raw, record.version, record.segments, data
        )

    return split_rejected(await asyncio.gather(*(one(record) for record in records)))


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
    async with pull.db.read() as connection:
        return int(
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


async def _old_ones_missing(pull: Pull, state: Mapping[str, Any]) -> bool:
    """Whether the shortfall is more than the people who came after the window's end."""
    fetch = fetch_people(pull, state["to_ms"], None)
    last = await find_last_page(fetch)
    fresh = (last.number - 1) * PER_PAGE + len(last.items)
    met = await _count_met(pull, state["began_ms"])
    return met + fresh < int(state["total"])


def _read_to(pull: Pull, to_ms: int, *, reread: bool) -> Any:
    async def work(connection: AsyncConnection) -> None:
        values: dict[str, Any] = {"people_read_to_ms": to_ms}
        if reread:
            values |= {"people_reread_at": clock.now(), "rolling_read": None}
        await connection.execute(
            update(websites).where(websites.c.id == pull.website_id).values(**values)
        )

    return work
