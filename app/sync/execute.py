"""Working on a claimed run to its end, whatever that is: done, partial, parked, failed, taken over."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.conversations.store import write_operators
from app.crisp import translate
from app.crisp.budget import QuotaPause
from app.crisp.client import CrispClient
from app.crisp.errors import AuthRejected, NotSubscribed, Transient
from app.db.session import Database
from app.errors import CrispsyncError, DatabaseAway
from app.records import Batch
from app.sync.audit import audit
from app.sync.conversations import list_conversations, read_to
from app.sync.drift import Auditor, count_findings, find_watermarks
from app.sync.leases import Claim, LeaseLost, fence, finish, release
from app.sync.people import pull_all_people, pull_new_people
from app.sync.pull import Pull, Stopped
from app.sync.removals import confirm_removals
from app.sync.threads import pull_threads
from app.websites.connect import mark_uninstalled
from app.websites.rules import require_website, rules_of
from app.websites.tables import websites

log = structlog.get_logger()

OUTAGE_PAUSE = (timedelta(seconds=30), timedelta(minutes=15))


async def execute(db: Database, client: CrispClient, held: Claim) -> str:
    """Work until the run ends or stops; the state it is in then, "lost" when somebody else has it."""
    structlog.contextvars.bind_contextvars(run_id=held.run_id, website_id=held.website_id)
    try:
        async with _heartbeat(db, held):
            return await _work(db, client, held)
    except LeaseLost:
        await _end_if_stale(db, held)
        return "lost"
    except DatabaseAway:
        return "lost"  # nothing can be written now; the lease ends by itself
    except asyncio.CancelledError:
        with contextlib.suppress(DatabaseAway):
            await asyncio.shield(release(db, held))
        raise
    finally:
        with contextlib.suppress(DatabaseAway):
            await client.budget.give_back()
        structlog.contextvars.unbind_contextvars("run_id", "website_id")


async def _work(db: Database, client: CrispClient, held: Claim) -> str:
    async with db.read() as connection:
        rules = await rules_of(connection, held.website_id)
        website = await require_website(connection, held.website_id)
        auditor = None
        if held.kind == "audit":
            watermarks = await find_watermarks(connection, held.website_id, website)
            auditor = Auditor(rules, held.run_id, watermarks)
    pull = Pull(db, client, held, rules, website, auditor)
    try:
        await _pull_everything(pull)
    except Exception as error:
        cause = decisive(error)
        if isinstance(cause, LeaseLost | DatabaseAway):
            raise cause from None
        if not isinstance(cause, CrispsyncError | Stopped):
            log.exception("sync.crashed")
        return await _end(pull, ending_of(cause, held))
    return await _end_well(pull)


@dataclass(frozen=True, slots=True)
class Ending:
    """How a run stops. `website_attention` is told on the website too; `uninstalled` marks it so."""

    state: str
    error: str | None = None
    resume_at: datetime | None = None
    website_attention: str | None = None
    uninstalled: bool = False


def ending_of(cause: Exception, held: Claim) -> Ending:
    """The fate of a run by what stopped it (SPEC S5, S6; FAILURES cases 35 to 40)."""
    sentence = str(cause)
    match cause:
        case Stopped(asked="pause"):
            return Ending("paused")
        case Stopped():
            return Ending("cancelled")
        case QuotaPause(until=until):
            return Ending("paused", sentence, until)
        case NotSubscribed():
            return Ending("cancelled", sentence, uninstalled=True)
        case AuthRejected():
            return Ending("failed", sentence, website_attention=sentence)
        case Transient():
            return Ending("paused", sentence, _after_outage(held))
        case CrispsyncError():
            return Ending("failed", sentence)
        case _:
            return Ending("failed", f"Unexpected: {type(cause).__name__}.")


def decisive(error: BaseException) -> Exception:
    """Of several errors that tasks raised at once, the one that decides what becomes of the run."""
    return min(_leaves(error), key=_rank)


def _rank(error: Exception) -> int:
    if isinstance(error, LeaseLost | DatabaseAway):
        return 0
    if not isinstance(error, CrispsyncError | Stopped):
        return 1
    return 3 if isinstance(error, Stopped | QuotaPause | Transient) else 2


def _leaves(error: BaseException) -> Iterator[Exception]:
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from _leaves(inner)
    elif isinstance(error, Exception):
        yield error


def _after_outage(held: Claim) -> datetime:
    """Later and later while Crisp stays away; a page that was saved starts the count anew."""
    outages = int(held.checkpoint.get("outages", 0))
    held.checkpoint = {**held.checkpoint, "outages": outages + 1}
    first, longest = OUTAGE_PAUSE
    pause: timedelta = min(first * 2 ** min(outages, 10), longest)
    return clock.now() + pause


async def _pull_everything(pull: Pull) -> None:
    kind = pull.claim.kind
    if kind == "full" or not pull.client.clock.is_known:
        # First of all, since a window's frozen end is made by Crisp's clock.
        await _pull_operators(pull)
    if pull.auditor is not None:
        await audit(pull, pull.auditor)
        return
    async with asyncio.TaskGroup() as tasks:
        # People go first and keep their connection; their pages can only be asked for one after
        # another, so the other connections are free for conversations meanwhile (docs/why.md).
        if pull.rules.import_people and kind != "backfill":
            people = pull_all_people(pull) if kind == "full" else pull_new_people(pull)
            tasks.create_task(_stop_in_order(pull, people))
        if pull.rules.import_conversations:
            await pull.save(Batch(pull.website_id), checkpoint=_began(pull))
            more_threads = asyncio.Event()
            lists = list_conversations(pull, more_threads)
            listing = tasks.create_task(_stop_in_order(pull, lists))
            threads = pull_threads(pull, more_threads, listing)
            tasks.create_task(_stop_in_order(pull, threads))
    if pull.stopped_by:
        raise ExceptionGroup("parts of a run", pull.stopped_by)
    if kind == "full":
        await confirm_removals(pull)


async def _stop_in_order(pull: Pull, part: Coroutine[Any, Any, None]) -> None:
    """An error that ends one part lets the others write what they have read and paid for.

    Where nothing can be written any more, and where the whole run is cancelled, nobody waits.
    """
    try:
        await part
    except DatabaseAway:
        raise
    except (CrispsyncError, Stopped) as error:
        pull.stopped_by.append(error)


def _began(pull: Pull) -> dict[str, object]:
    state = pull.claim.checkpoint
    began_ms = state.get("conversations_began_ms") or pull.begin_ms()
    return {"stage": "conversations", "conversations_began_ms": began_ms}


async def _pull_operators(pull: Pull) -> None:
    try:
        answer = await pull.get("operators/list")
    except AuthRejected as error:
        if error.status == 403:  # the scope is missing: names stay unknown, the rest goes on
            return
        raise
    found = [
        record
        for item in (answer.data if isinstance(answer.data, list) else [])
        if isinstance(item, dict) and (record := translate.operator(item)) is not None
    ]

    async def work(connection: AsyncConnection) -> None:
        await write_operators(connection, pull.website_id, found)

    await pull.save(Batch(pull.website_id), work, checkpoint={"stage": "people"})


async def _end_well(pull: Pull) -> str:
    """Move the watermark and finish, in one transaction."""
    held = pull.claim
    failed, suspects = await pull.count_failed(), pull.suspects
    held.counts = {**held.counts, "failed": failed, "suspects": len(suspects)}
    if held.kind == "audit":
        async with pull.db.read() as connection:
            held.counts |= await count_findings(connection, held.website_id, held.run_id)
    if "threads_total" in held.counts:
        held.counts["threads_total"] = held.counts.get("threads_done", 0)
    state = "partial" if failed or suspects else "done"
    error = " ".join(f"{suspect}." for suspect in suspects) or None

    async def work(connection: AsyncConnection) -> None:
        await fence(connection, held)
        if pull.rules.import_conversations and held.kind not in {"backfill", "audit"}:
            await read_to(pull)(connection)
        if held.kind == "full":
            await connection.execute(
                update(websites)
                .where(websites.c.id == held.website_id)
                .values(
                    first_imported_at=pull.website.first_imported_at or clock.now(),
                    attention=None,
                )
            )
        await finish(connection, held, state, error=error)

    await pull.db.transact(work)
    return state


async def _end(pull: Pull, ending: Ending) -> str:
    held = pull.claim
    held.counts = {**held.counts, "failed": await pull.count_failed()}

    async def work(connection: AsyncConnection) -> None:
        await fence(connection, held, save=False)
        await finish(connection, held, ending.state, error=ending.error, resume_at=ending.resume_at)
        if ending.uninstalled:
            await mark_uninstalled(connection, held.website_id)
        if ending.website_attention:
            await connection.execute(
                update(websites)
                .where(websites.c.id == held.website_id)
                .values(attention=ending.website_attention)
            )

    await pull.db.transact(work)
    return ending.state


async def _end_if_stale(db: Database, held: Claim) -> None:
    """A run whose website was disconnected or installed anew ends; its work would write nothing."""

    async def work(connection: AsyncConnection) -> None:
        website = await require_website(connection, held.website_id)
        if website.generation == held.generation and website.status == "connected":
            return
        await finish(connection, held, "cancelled", error=f"The website is {website.status} since.")

    with contextlib.suppress(CrispsyncError):
        await db.transact(work)


@contextlib.asynccontextmanager
async def _heartbeat(db: Database, held: Claim) -> AsyncIterator[None]:
    """Keep the lease while waiting for Crisp, and notice what a person asked for."""

    async def beat() -> None:
        while True:
            await asyncio.sleep(held.lease_ms / 3000)
            with contextlib.suppress(DatabaseAway, LeaseLost):
                await db.transact(lambda connection: fence(connection, held, save=False))

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
