"""Reading messages: a few conversations at a time, written in batches, each with its own progress.

Which conversations are due stands in their rows, so a killed run loses no more than the batch in
hand, and memory does not grow with the website.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.tables import conversations
from app.crisp.client import refuse_path_part
from app.crisp.errors import Circular, Gone, Permanent
from app.db.base import StoredRow
from app.errors import CrispsyncError
from app.ingest import remove_conversations, remove_messages
from app.records import Batch, Rejected, conversation_id
from app.sync.pull import Pull, Save, Stopped
from app.sync.readers import UNSENT, UNWRITTEN, Reader
from app.sync.thread import Part
from app.sync.unmentioned import read_and_compare

AHEAD = 200
"""Conversations that are looked up at once."""
WAITING = 30
"""When no more of them are left, the next are looked up."""
ANSWERS_A_WRITE = 20
MESSAGES_A_WRITE = 800
COUNT_EVERY = 2.0  # seconds; the total is for people to look at


@dataclass(slots=True)
class Threads:
    """The work under way: conversations handed out and not yet written, and what stopped a reader."""

    room: asyncio.Semaphore
    due: asyncio.Queue[StoredRow | None] = field(default_factory=lambda: asyncio.Queue(WAITING))
    read: deque[Part] = field(default_factory=deque)
    to_write: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    handed_out: set[str] = field(default_factory=set)
    unsettled: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    stopped_by: Exception | None = None
    counted_at: float = float("-inf")


async def pull_threads(pull: Pull, more: asyncio.Event, listing: asyncio.Task[None]) -> None:
    """Ask for the messages of every conversation that is due, until listing has ended and none is left.

    When a request cannot be made (quota, network, a person's word), what was read is written
    before the error goes on: those requests are paid for.
    """
    work = Threads(asyncio.Semaphore(UNWRITTEN if pull.db.is_sqlite else UNSENT))
    while True:
        work.ended = False
        work.to_write.clear()
        async with asyncio.TaskGroup() as tasks:
            feeder = tasks.create_task(_feed(pull, work, more, listing))
            readers = [tasks.create_task(_read(pull, work)) for _ in range(len(pull.client))]
            tasks.create_task(_end(readers, feeder, work))
            tasks.create_task(_write(pull, work))
        if work.stopped_by is not None:
            raise work.stopped_by
        if not await _find_due(
            pull, work
        ):  # some may have changed in the list while they were read
            return


async def _feed(
    pull: Pull, work: Threads, more: asyncio.Event, listing: asyncio.Task[None]
) -> None:
    while True:
        more.clear()
        listing_ended = listing.done()
        rows = await _find_due(pull, work)
        for row in rows:
            work.handed_out.add(row.session_id)
            await work.due.put(row)
        if rows:
            continue
        if listing_ended:
            break
        waiting = asyncio.create_task(more.wait())
        try:
            await asyncio.wait({waiting, listing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
    for _ in range(len(pull.client)):
        await work.due.put(None)


async def _find_due(pull: Pull, work: Threads) -> Sequence[StoredRow]:
    """The newest that are due. What failed stays handed out: the next run tries it again."""
    is_due = (
        conversations.c.website_id == pull.website_id,
        conversations.c.messages_due,
        conversations.c.deleted_at.is_(None),
    )
    # What is written while this asks is in neither place: as it was before, so it stays out.
    handed_out = frozenset(work.handed_out)
    async with pull.db.read() as connection:
        rows = await connection.execute(
            select(
                conversations.c.website_id,
                conversations.c.session_id,
                conversations.c.version_ms,
                conversations.c.last_fingerprint,
                conversations.c.message_count,
                conversations.c.messages_complete,
                conversations.c.messages_back_to_ms,
                conversations.c.messages_read_to_ms,
            )
            .where(*is_due)
            .order_by(conversations.c.version_ms.desc())
            .limit(len(handed_out) + len(work.unsettled) + AHEAD)
        )
        found = [
            row
            for row in rows
            if row.session_id not in handed_out
            and work.unsettled.get(row.session_id) != (row.version_ms, row.last_fingerprint)
        ]
        if time.monotonic() - work.counted_at > COUNT_EVERY:
            work.counted_at = time.monotonic()
            total = await connection.scalar(
                select(func.count()).select_from(conversations).where(*is_due)
            )
            done = pull.claim.counts.get("threads_done", 0)
            pull.claim.counts["threads_total"] = done + int(total or 0)
    return found


async def _read(pull: Pull, work: Threads) -> None:
    reader = Reader(pull, work.room)
    while work.stopped_by is None and (row := await work.due.get()) is not None:
        try:
            pull.check_asked()
            await _read_one(reader, work, row)
        except (CrispsyncError, Stopped) as error:
            work.stopped_by = error
            _leave(work.room, reader.hand_over())


async def _read_one(reader: Reader, work: Threads, row: StoredRow) -> None:
    try:
        async for part in read_and_compare(reader.pull.db, reader, row, reader.must_hand_over):
            _pass_on(work, reader, part)
    except Gone as error:
        _pass_on(work, reader, await confirm_gone(reader.pull, row.session_id, error))
    except (Circular, Permanent) as error:
        failed = Rejected("conversation", row.session_id, error.message)
        _pass_on(work, reader, Part(row.session_id, rejected=[failed]))


def _pass_on(work: Threads, reader: Reader, part: Part) -> None:
    part.answers = reader.hand_over()
    work.read.append(part)
    if _answers(work.read) >= ANSWERS_A_WRITE:
        work.to_write.set()


def _leave(room: asyncio.Semaphore, answers: int) -> None:
    for _ in range(answers):
        room.release()


async def confirm_gone(pull: Pull, session_id: str, error: Gone) -> Part:
    """Believe that a conversation is gone only when asking for the record itself says so (SPEC S9)."""
    asked_ms = pull.client.clock.now_ms()
    try:
        await pull.get(f"conversation/{refuse_path_part(session_id)}")
    except Gone:
        return Part(session_id, gone_ms=asked_ms)
    return Part(session_id, rejected=[Rejected("conversation", session_id, error.message)])


async def _end(
    readers: Sequence[asyncio.Task[None]], feeder: asyncio.Task[None], work: Threads
) -> None:
    while work.stopped_by is None and (busy := [r for r in readers if not r.done()]):
        await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)
    if work.stopped_by is not None:
        feeder.cancel()
        while not work.due.empty():
            work.due.get_nowait()
        for _ in readers:
            work.due.put_nowait(None)
        await asyncio.wait(readers)
    work.ended = True
    work.to_write.set()


async def _write(pull: Pull, work: Threads) -> None:
    """Whatever has been read when it is its turn: a slow database makes batches larger, not more."""
    # SQLite writes while it is told to: nothing is left to be done elsewhere once it was.
    sent_from = None if pull.db.is_sqlite else work.room
    while work.read or not work.ended:
        await work.to_write.wait()
        if not work.read:
            continue
        parts, unsettled = await save_parts(pull, lambda: _take(work), sent_from)
        work.unsettled |= unsettled
        if sent_from is None:
            _leave(work.room, _answers(parts))
        work.handed_out.difference_update(
            part.session_id for part in parts if part.progress and part.ends_thread
        )


def _take(work: Threads) -> list[Part]:
    parts: list[Part] = []
    while work.read and _size(parts) < MESSAGES_A_WRITE:
        parts.append(work.read.popleft())
    if _answers(work.read) < ANSWERS_A_WRITE and not work.ended:
        work.to_write.clear()
    return parts


def _answers(parts: Iterable[Part]) -> int:
    return sum(part.answers for part in parts)


def _size(parts: Sequence[Part]) -> int:
    return sum(len(part.messages) for part in parts)


async def save_parts(
    pull: Pull, take: Callable[[], Sequence[Part]], room: asyncio.Semaphore | None = None
) -> tuple[Sequence[Part], dict[str, tuple[int, int | None]]]:
    """Write the parts that `take` gives when it is their turn; `room` gets theirs when only that is left.

    With them those that are to be read again, but not at once: session id to the state they were read for.
    """
    parts: list[Part] = []

    def build() -> Save:
        parts.extend(take())
        return _save_of(pull, parts, room)

    outcome = await pull.save_when_possible(build)
    return parts, {
        part.session_id: (part.progress.version_ms, part.progress.fingerprint)
        for part in parts
        if part.progress and conversation_id(pull.website_id, part.session_id) in outcome.unsettled
    }


def _save_of(pull: Pull, parts: Sequence[Part], room: asyncio.Semaphore | None) -> Save:
    gone = {part.session_id: part.gone_ms for part in parts if part.gone_ms is not None}
    removed = [removal for part in parts for removal in part.removed]

    async def remove(connection: AsyncConnection) -> None:
        if gone:
            await remove_conversations(connection, pull.rules, gone)
        if removed:
            await remove_messages(connection, pull.rules, removed)

    taken = _answers(parts)

    def make_room() -> None:
        nonlocal taken  # the transaction may be tried again
        if room is not None:
            _leave(room, taken)
        taken = 0

    return Save(
        Batch(
            pull.website_id,
            messages=[m for part in parts for m in part.messages],
            threads=[part.progress for part in parts if part.progress],
        ),
        also=[remove],
        when_asked=make_room,
        rejected=[r for part in parts for r in part.rejected],
        counts={
            "threads_done": sum(part.ends_thread for part in parts),
            "messages_done": _size(parts),
            "removed": len(gone) + len(removed),
        },
    )
