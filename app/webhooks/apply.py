"""Applying what the inbox holds: a batch of one website in one transaction, all of it or nothing.

The website's lock makes its hooks go one after another, whoever applies them; websites take turns,
so that a busy one starves nobody (FAILURES case 24).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

import structlog
from sqlalchemy import update
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
from app.webhooks.fold import News, fold
from app.webhooks.health import Counted, count_hooks
from app.webhooks.tables import inbox_events
from app.webhooks.waiting import Ahead, Waiting, find_waiting, read_ahead, read_oldest
from app.websites.installation import note_installation
from app.websites.rules import WebsiteRules, find_rules, lock_website

log = structlog.get_logger()

FIRST, FEWEST, MOST = 1_000, 500, 4_000
"""Hooks in one batch. A conversation costs twice what a hook costs, however many of its hooks are in it."""
LONG, SHORT = 1.5, 0.75
"""Seconds of one batch: on SQLite intake waits so long, and has to answer within two seconds."""
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
    applied, size, full = 0, FIRST, False
    ahead: Ahead = {}
    while not stop():
        async with db.read() as connection:
            waiting = await find_waiting(connection)
        if not waiting:
            break
        for website_id, following in zip(waiting, [*waiting[1:], waiting[0]], strict=True):
            began = time.monotonic()
            skip = size if website_id == following else 0
            async with _reading_ahead(db, full, following, size, skip) as reading:
                count = await apply_batch(db, website_id, size, ahead)
                ahead = await reading if reading else {}
            full = count == size
            size = next_size(size, count, time.monotonic() - began)
            applied += count
    return applied


@asynccontextmanager
async def _reading_ahead(
    db: Database, wanted: bool, website_id: str | None, most: int, skip: int
) -> AsyncIterator[asyncio.Task[Ahead] | None]:
    """While PostgreSQL writes, this process has nothing else to do. SQLite writes in this process."""
    if not wanted or db.is_sqlite:
        yield None
        return
    reading = asyncio.create_task(read_ahead(db, website_id, most, skip))
    try:
        yield reading
    finally:
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()  # seen: when the batch failed, its error is the one to tell


def next_size(size: int, applied: int, seconds: float) -> int:
    """How many hooks the next batch may have, after one that held `applied` of at most `size`."""
    if seconds > LONG:
        return max(FEWEST, size // 2)
    if seconds < SHORT and applied == size:
        return min(MOST, size * 2)
    return size


async def apply_batch(
    db: Database, website_id: str | None, most: int = MOST, ahead: Ahead | None = None
) -> int:
    """The oldest hooks of one website, at most so many or BATCH_BYTES; how many.

    `ahead`: what was read of them before.
    """
    apply = partial(_apply, website_id=website_id, most=most, ahead=ahead or {})
    try:
        return await db.transact(partial(apply, together=True))
    except BAD_VALUES as error:
        if not is_bad_value(error):
            raise
    return await db.transact(partial(apply, together=False))


async def _apply(
    connection: AsyncConnection,
    *,
    website_id: str | None,
    most: int,
    together: bool,
    ahead: Ahead,
) -> int:
    await lock_website(connection, website_id or "")
    hooks = await read_oldest(connection, website_id, most, ahead)
    if not hooks:
        return 0
    rules = await find_rules(connection, website_id) if website_id else None
    if together:
        verdicts = await _take(connection, rules, website_id, hooks)
    else:
        verdicts = [await _take_one(connection, rules, website_id, hook) for hook in hooks]
    await _mark(connection, verdicts)
    await forget_bodies(connection, website_id, [hook.row for hook in hooks])
    return len(hooks)


async def _take(
    connection: AsyncConnection,
    rules: WebsiteRules | None,
    website_id: str | None,
    hooks: Sequence[Waiting],
) -> list[Verdict]:
    news = News(Batch(website_id or ""))
    verdicts = [_judge(rules, hook, news) for hook in hooks]
    if news.installed is not None and website_id is not None:
        await note_installation(connection, website_id, *news.installed)
    if rules is not None and rules.applies_hooks:
        await _write(connection, rules, news)
    return verdicts


def _judge(rules: WebsiteRules | None, hook: Waiting, news: News) -> Verdict:
    """Fold the hook into `news`, or say why not."""
    row, meaning = hook
    if row.website_id is None:
        return Verdict(row, "dead", "It names no website.")
    if row.event != INSTALLATION and (rules is None or not rules.applies_hooks):
        status = "unknown" if rules is None else rules.status
        return Verdict(row, "parked", f"The website is {status}.")
    if isinstance(meaning, Unusable):
        log.warning("hook.dead", event_id=row.id, website_id=row.website_id)
        return Verdict(row, "dead", f"It cannot be applied: {meaning}.")
    if meaning is None:
        return Verdict(row, "ignored")
    fold(news, *meaning)
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
    hook: Waiting,
) -> Verdict:
    """For a batch that the database refused: what can be applied is, the rest is a dead letter."""
    try:
        async with connection.begin_nested():
            return (await _take(connection, rules, website_id, [hook]))[0]
    except BAD_VALUES as error:
        if not is_bad_value(error):
            raise
        # The driver's text may quote the value, so only the kind of error is told.
        kind = type(getattr(error, "orig", None) or error).__name__
        return Verdict(hook.row, "dead", f"The database refuses it ({kind}).")


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
