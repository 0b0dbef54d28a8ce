"""A run that believes nothing: what is stored is read again, whole threads, and compared (SPEC S8).

Either everything, or a sample: conversations of every age, those that nobody compared for longest
first, a page of the list around each age (so that a lost conversation is met), and pages of people.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import false, func, null, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.conversations.tables import conversations
from app.crisp.errors import Circular, Gone, Permanent
from app.db.base import AnySelect, StoredRow
from app.db.one_of import is_one_of
from app.ingest import remove_conversations, remove_messages
from app.records import Batch, Rejected, conversation_id
from app.sync.audit_sample import choose
from app.sync.conversations import fetch_conversations, list_conversations, save_conversations
from app.sync.drift import Auditor
from app.sync.people import pull_all_people
from app.sync.people_pages import fetch_people, save_people
from app.sync.pull import Pull
from app.sync.removals import SHARE_THAT_WAITS, confirm_people
from app.sync.thread import Part
from app.sync.threads import confirm_gone
from app.sync.unmentioned import read_and_compare

EVERYTHING = "all"
AT_ONCE = 24
UNMET_OF_A_PAGE = 10


async def audit(pull: Pull, auditor: Auditor) -> None:
    state = pull.claim.checkpoint
    if state.get("sample", EVERYTHING) == EVERYTHING:
        await _everything(pull, auditor)
    else:
        await _sample(pull, auditor, int(state["sample"]))


async def _everything(pull: Pull, auditor: Auditor) -> None:
    if pull.rules.import_people:
        await pull_all_people(pull)
        people = pull.claim.checkpoint["people"]
        if not pull.suspects and not await pull.count_failed():
            await confirm_people(pull, people["began_ms"], people["to_ms"])
    if not pull.rules.import_conversations:
        return
    if not pull.claim.checkpoint.get("listed"):
        await list_conversations(pull, asyncio.Event())
        await pull.save(Batch(pull.website_id), checkpoint={"listed": True, "stage": "messages"})
    await _tell_total(pull)
    while rows := await _next_by_id(pull, pull.claim.checkpoint.get("audited_to", "")):
        await _check(pull, auditor, rows, {"audited_to": rows[-1].id})


async def _sample(pull: Pull, auditor: Auditor, size: int) -> None:
    if "chosen" not in pull.claim.checkpoint:
        async with pull.db.read() as connection:
            chosen = await choose(connection, pull.rules, size)
        await pull.save(Batch(pull.website_id), checkpoint=chosen)
    while people := pull.claim.checkpoint["people_before_ms"]:
        page = await fetch_people(pull, None, people[0])(1)
        await save_people(pull, page, checkpoint={"people_before_ms": people[1:]})
    while around := pull.claim.checkpoint["listed_before_ms"]:
        await _check_list(pull, around[0], {"listed_before_ms": around[1:]})
    while left := pull.claim.checkpoint["chosen"]:
        if _is_spent(pull):
            break
        rows = await _these(pull, left[:AT_ONCE])
        await _check(pull, auditor, rows, {"chosen": left[AT_ONCE:]})


def _is_spent(pull: Pull) -> bool:
    """The share of the day's requests that an audit may use is gone: the rest comes another day."""
    most = pull.claim.checkpoint.get("requests_at_most")
    return most is not None and pull.claim.checkpoint.get("asked", 0) >= most


async def _check_list(pull: Pull, before_ms: int, rest: dict[str, Any]) -> None:
    """A page of the list, and what is stored between its ends and does not stand on it."""
    page = await fetch_conversations(pull, 0, before_ms)(1)
    times = [t for item in page.items if isinstance(t := item.get("updated_at"), int)]
    met = {str(item.get("session_id")) for item in page.items}
    await save_conversations(pull, page)
    first = await _never_read(pull, [conversation_id(pull.website_id, s) for s in sorted(met)])
    if times and times == sorted(times, reverse=True):
        first += await _unmet(pull, times[-1], before_ms, met)
    rest["chosen"] = list(dict.fromkeys([*first, *pull.claim.checkpoint["chosen"]]))
    await pull.save(Batch(pull.website_id), checkpoint=rest)


async def _unmet(pull: Pull, oldest_ms: int, newest_ms: int, met: set[str]) -> list[str]:
    c = conversations.c
    async with pull.db.read() as connection:
        rows = await connection.execute(
            select(c.id)
            .where(
                c.website_id == pull.website_id,
                c.deleted_at.is_(None),
                c.crisp_updated_at > from_ms(oldest_ms),
                c.crisp_updated_at < from_ms(newest_ms),
                c.session_id.not_in(sorted(met)),
            )
            .order_by(c.id)
            .limit(UNMET_OF_A_PAGE)
        )
        return [str(row.id) for row in rows]


async def _never_read(pull: Pull, ids: Sequence[str]) -> list[str]:
    c = conversations.c
    async with pull.db.read() as connection:
        rows = await connection.execute(
            select(c.id).where(
                c.website_id == pull.website_id,
                is_one_of(c.id, ids),
                c.messages_version_ms.is_(None),
            )
        )
        return [str(row.id) for row in rows]


def _whole(website_id: str) -> AnySelect:
    """What `read_thread` asks for, as if nothing of the thread were known."""
    c = conversations.c
    return select(
        c.website_id,
        c.id,
        c.session_id,
        c.version_ms,
        c.last_fingerprint,
        c.message_count,
        false().label("messages_complete"),
        null().label("messages_back_to_ms"),
        null().label("messages_read_to_ms"),
    ).where(c.website_id == website_id, c.deleted_at.is_(None))


async def _next_by_id(pull: Pull, after: str) -> Sequence[StoredRow]:
    c = conversations.c
    query = _whole(pull.website_id).where(c.id > after).order_by(c.id).limit(AT_ONCE)
    async with pull.db.read() as connection:
        return (await connection.execute(query)).all()


async def _these(pull: Pull, ids: Sequence[str]) -> Sequence[StoredRow]:
    query = _whole(pull.website_id).where(is_one_of(conversations.c.id, ids))
    async with pull.db.read() as connection:
        return (await connection.execute(query)).all()


async def _tell_total(pull: Pull) -> None:
    c = conversations.c
    async with pull.db.read() as connection:
        live = await connection.scalar(
            select(func.count()).where(c.website_id == pull.website_id, c.deleted_at.is_(None))
        )
    pull.claim.counts["threads_total"] = int(live or 0)


async def _check(
    pull: Pull, auditor: Auditor, rows: Sequence[StoredRow], rest: dict[str, Any]
) -> None:
    """Some threads at once; what was read of them is saved together with how far the audit is."""
    before = pull.client.budget.spent[pull.website_id]
    async with asyncio.TaskGroup() as tasks:
        reading = [tasks.create_task(_read_whole(pull, row)) for row in rows]
    parts = [task.result() for task in reading]
    gone = {part.session_id: part.gone_ms for part in parts if part.gone_ms is not None}
    if gone and not await _may_bury(pull, len(gone)):
        gone = {}
    spent = pull.client.budget.spent[pull.website_id] - before
    asked = pull.claim.checkpoint.get("asked", 0) + spent
    await _save(pull, auditor, parts, gone, {**rest, "asked": asked})


async def _may_bury(pull: Pull, count: int) -> bool:
    """So many that it looks like a fault wait for a person (SPEC S9)."""
    c = conversations.c
    async with pull.db.read() as connection:
        live = await connection.scalar(
            select(func.count()).where(c.website_id == pull.website_id, c.deleted_at.is_(None))
        )
    so_far = pull.claim.checkpoint.get("gone", 0) + count
    if so_far <= SHARE_THAT_WAITS * (live or 0):
        await pull.save(Batch(pull.website_id), checkpoint={"gone": so_far})
        return True
    pull.suspect(
        f"{so_far} of {live} conversations are gone in Crisp; so many removals wait for a person "
        "(crispsync sync --full --accept-removals)"
    )
    return False


async def _read_whole(pull: Pull, row: StoredRow) -> Part:
    """The last part of the thread; the parts before it, of a very long one, are saved at once."""
    last, removed = Part(row.session_id), []
    try:
        async for part in read_and_compare(pull.db, pull, row):
            removed += part.removed
            if part.ends_thread:
                last = part
                break
            await pull.save(
                Batch(pull.website_id, messages=part.messages),
                rejected=part.rejected,
                counts={"messages_done": len(part.messages)},
            )
        last.removed = removed
    except Gone as error:
        return await confirm_gone(pull, row.session_id, error)
    except (Circular, Permanent) as error:
        last.progress = None
        last.rejected.append(Rejected("conversation", row.session_id, error.message))
    return last


async def _save(
    pull: Pull,
    auditor: Auditor,
    parts: Sequence[Part],
    gone: dict[str, int],
    checkpoint: dict[str, Any],
) -> None:
    removed = [removal for part in parts for removal in part.removed]
    verified = {
        conversation_id(pull.website_id, part.session_id): part.progress
        for part in parts
        if part.progress is not None
    }

    async def remember(connection: AsyncConnection) -> None:
        await _mark_verified(connection, pull, list(verified))
        if gone:
            await remove_conversations(connection, pull.rules, gone)
            await auditor.keep_removed(connection, "conversation", gone)
        if removed:
            await remove_messages(connection, pull.rules, removed)
            names = {f"{r.session_id}/{r.fingerprint}": r.removed_ms for r in removed}
            await auditor.keep_removed(connection, "message", names)

    await pull.save(
        Batch(
            pull.website_id,
            messages=[m for part in parts for m in part.messages],
            threads=list(verified.values()),
        ),
        remember,
        rejected=[r for part in parts for r in part.rejected],
        checkpoint=checkpoint,
        counts={
            "threads_done": len(parts),
            "messages_done": sum(len(part.messages) for part in parts),
            "removed": len(gone) + len(removed),
        },
    )


async def _mark_verified(connection: AsyncConnection, pull: Pull, ids: Sequence[str]) -> None:
    c = conversations.c
    await connection.execute(
        update(conversations)
        .where(c.website_id == pull.website_id, is_one_of(c.id, ids))
        .values(verified_ms=pull.client.clock.now_ms())
    )
