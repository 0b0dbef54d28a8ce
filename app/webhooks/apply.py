"""Applying what the inbox holds: a batch of one website in one transaction, all of it or nothing.

The website's lock makes its hooks go one after another, whoever applies them; websites take turns,
so that a busy one starves nobody (FAILURES case 24).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.contacts.refresh import look_at_contacts
from app.conversations.progress import read_again
from app.conversations.refresh import look_at_conversations, look_at_incomplete
from app.crisp.hook_events import INSTALLATION, Unusable
from app.db.base import StoredRow
from app.db.one_of import is_one_of
from app.db.session import Database
from app.db.sqlstate import is_bad_value
from app.ingest import (
    BAD_VALUES,
    ingest,
    remove_contacts,
    remove_conversations,
    remove_messages,
)
from app.records import Batch
from app.webhooks.erased import forget_bodies
from app.webhooks.fold import News, fold, interpret
from app.webhooks.health import Counted, count_hooks
from app.webhooks.tables import IS_NEW, inbox_events
from app.websites.installation import note_installation
from app.websites.rules import WebsiteRules, find_rules, lock_website

log = structlog.get_logger()

FIRST, FEWEST, MOST = 1_000, 500, 4_000
"""Hooks in one batch. A conversation costs twice what a hook costs, however many of its hooks are in it."""
LONG, SHORT = 1.5, 0.75
"""Seconds of one batch: on SQLite intake waits so long, and has to answer within two seconds."""
BATCH_BYTES = 8_000_000
"""A thousand bodies of the largest size would be a gigabyte at once; usual ones take 1.5 KB."""
Outcome = Literal["done", "ignored", "dead", "parked"]


@dataclass(slots=True)
class Verdict:
    """What became of one hook."""

    row: StoredRow
    outcome: Outcome
    error: str | None = None


async def apply_waiting(db: Database, stop: Callable[[], bool] = lambda: False) -> int:
    """Apply what waits, one batch of each website in turn, until nothing does; how many hooks.

    Batches are as large as this machine applies quickly.
    """
    applied, size = 0, FIRST
    while not stop():
        async with db.read() as connection:
            waiting = await find_waiting(connection)
        if not waiting:
            break
        for website_id in waiting:
            began = time.monotonic()
            count = await apply_batch(db, website_id, size)
            size = next_size(size, count, time.monotonic() - began)
            applied += count
    return applied


def next_size(size: int, applied: int, seconds: float) -> int:
    """How many hooks the next batch may have, after one that held `applied` of at most `size`."""
    if seconds > LONG:
        return max(FEWEST, size // 2)
    if seconds < SHORT and applied == size:
        return min(MOST, size * 2)
    return size


async def find_waiting(connection: AsyncConnection) -> list[str | None]:
    """The websites of which hooks wait. One index lookup for each, however many hooks they have."""
    found: list[str | None] = []
    last = ""
    while True:
        next_id = await connection.scalar(
            select(inbox_events.c.website_id)
            .where(IS_NEW, inbox_events.c.website_id > last)
            .order_by(inbox_events.c.website_id)
            .limit(1)
        )
        if next_id is None:
            break
        found.append(next_id)
        last = next_id
    nobodys = select(inbox_events.c.id).where(IS_NEW, inbox_events.c.website_id.is_(None)).limit(1)
    if await connection.scalar(nobodys) is not None:
        found.append(None)
    return found


async def apply_batch(db: Database, website_id: str | None, most: int = MOST) -> int:
    """The oldest hooks of one website, at most so many or BATCH_BYTES; how many."""
    apply = partial(_apply, website_id=website_id, most=most)
    try:
        return await db.transact(partial(apply, together=True))
    except BAD_VALUES as error:
        if not is_bad_value(error):
            raise
    return await db.transact(partial(apply, together=False))


async def _apply(
    connection: AsyncConnection, *, website_id: str | None, most: int, together: bool
) -> int:
    await lock_website(connection, website_id or "")
    rows = await _oldest(connection, website_id, most)
    if not rows:
        return 0
    rules = await find_rules(connection, website_id) if website_id else None
    if together:
        verdicts = await _take(connection, rules, website_id, rows)
    else:
        verdicts = [await _take_one(connection, rules, website_id, row) for row in rows]
    await _mark(connection, verdicts)
    await forget_bodies(connection, website_id, rows)
    return len(rows)


_READ = ("id", "website_id", "event", "received_at", "body", "emitted_ms", "first_attempt")


async def _oldest(
    connection: AsyncConnection, website_id: str | None, most: int
) -> Sequence[StoredRow]:
    whose = (
        inbox_events.c.website_id == website_id
        if website_id is not None
        else inbox_events.c.website_id.is_(None)
    )
    sizes = await connection.execute(
        select(inbox_events.c.id, func.length(inbox_events.c.body).label("bytes"))
        .where(IS_NEW, whose)
        .order_by(inbox_events.c.received_at, inbox_events.c.id)
        .limit(most)
    )
    rows = await connection.execute(
        select(*(inbox_events.c[name] for name in _READ))
        .where(is_one_of(inbox_events.c.id, _as_many_as_fit(sizes)))
        .order_by(inbox_events.c.received_at, inbox_events.c.id)
    )
    return rows.all()


def _as_many_as_fit(sizes: Iterable[StoredRow]) -> list[str]:
    """The ids of the first ones whose bodies take BATCH_BYTES together, and of one at least."""
    chosen: list[str] = []
    total = 0
    for row in sizes:
        total += row.bytes or 0
        if chosen and total > BATCH_BYTES:
            break
        chosen.append(row.id)
    return chosen


async def _take(
    connection: AsyncConnection,
    rules: WebsiteRules | None,
    website_id: str | None,
    rows: Sequence[StoredRow],
) -> list[Verdict]:
    news = News(Batch(website_id or ""))
    verdicts = [_judge(rules, row, news) for row in rows]
    if news.installed is not None and website_id is not None:
        await note_installation(connection, website_id, *news.installed)
    if rules is not None and rules.applies_hooks:
        await _write(connection, rules, news)
    return verdicts


def _judge(rules: WebsiteRules | None, row: StoredRow, news: News) -> Verdict:
    """Fold the hook into `news`, or say why not."""
    if row.website_id is None:
        return Verdict(row, "dead", "It names no website.")
    if row.event != INSTALLATION and (rules is None or not rules.applies_hooks):
        status = "unknown" if rules is None else rules.status
        return Verdict(row, "parked", f"The website is {status}.")
    try:
        told = interpret(row)
    except Unusable as error:
        log.warning("hook.dead", event_id=row.id, website_id=row.website_id)
        return Verdict(row, "dead", f"It cannot be applied: {error}.")
    if told is None:
        return Verdict(row, "ignored")
    fold(news, *told)
    return Verdict(row, "done")


async def _write(connection: AsyncConnection, rules: WebsiteRules, news: News) -> None:
    _leave_out_unwanted(rules, news)
    if news.batch.messages:
        await read_again(connection, rules.id, news.batch.messages)
    await ingest(connection, rules, news.batch)
    if news.removed_messages:
        await remove_messages(connection, rules, news.removed_messages)
    if news.removed_conversations:
        await remove_conversations(connection, rules, news.removed_conversations)
    if news.removed_contacts:
        await remove_contacts(connection, rules, news.removed_contacts)
    met = {record.session_id for record in news.batch.conversations}
    await look_at_conversations(connection, rules.id, news.look_at_conversations, met)
    edited = [(edit.session_id, edit.fingerprint) for edit in news.batch.edits]
    await look_at_incomplete(connection, rules.id, edited)
    people = {record.people_id for record in news.batch.contacts}
    await look_at_contacts(connection, rules.id, news.look_at_contacts, people)


def _leave_out_unwanted(rules: WebsiteRules, news: News) -> None:
    """What was switched off stops from now on (SPEC C6); removals are of what is stored already."""
    if not rules.import_people:
        news.batch.contacts.clear()
        news.look_at_contacts.clear()
    if not rules.import_conversations:
        news.batch.conversations.clear()
        news.batch.messages.clear()
        news.batch.edits.clear()
        news.removed_messages.clear()
        news.look_at_conversations.clear()


async def _take_one(
    connection: AsyncConnection,
    rules: WebsiteRules | None,
    website_id: str | None,
    row: StoredRow,
) -> Verdict:
    """For a batch that the database refused: what can be applied is, the rest is a dead letter."""
    try:
        async with connection.begin_nested():
            return (await _take(connection, rules, website_id, [row]))[0]
    except BAD_VALUES as error:
        if not is_bad_value(error):
            raise
        # The driver's text may quote the value, so only the kind of error is told.
        kind = type(getattr(error, "orig", None) or error).__name__
        return Verdict(row, "dead", f"The database refuses it ({kind}).")


async def _mark(connection: AsyncConnection, verdicts: Sequence[Verdict]) -> None:
    moment = clock.now()
    alike: dict[tuple[Outcome, str], list[str]] = {}
    for verdict in verdicts:
        alike.setdefault((verdict.outcome, verdict.error or ""), []).append(verdict.row.id)
    for (outcome, error), ids in sorted(alike.items()):
        await connection.execute(
            update(inbox_events)
            .where(is_one_of(inbox_events.c.id, ids))
            .values(
                state=outcome,
                error=error or None,
                attempts=inbox_events.c.attempts + 1,
                done_at=None if outcome == "parked" else moment,
            )
        )
    await count_hooks(connection, [_counted(v, moment) for v in verdicts if v.outcome != "parked"])


def _counted(verdict: Verdict, moment: datetime) -> Counted:
    row = verdict.row
    return Counted(
        website_id=row.website_id or "",
        event=row.event,
        received_at=row.received_at,
        done_at=moment,
        outcome=verdict.outcome,  # type: ignore[arg-type]  # parked ones are not counted
        first_attempt=row.first_attempt,
    )
