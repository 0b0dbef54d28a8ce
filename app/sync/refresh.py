"""Asking Crisp for single records that a hook told in part, within the hooks' share of the day.

An answer that is older than the news it was asked for is asked for again: Crisp's cache and its
search may lag behind its hooks (FAILURES case 49).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import structlog
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import now, to_ms
from app.contacts.tables import contacts
from app.conversations.refresh import find_incomplete
from app.conversations.tables import conversations
from app.conversations.threads import MessageRemoval
from app.crisp import translate
from app.crisp.budget import QuotaPause
from app.crisp.client import Answer, CrispClient, refuse_path_part
from app.crisp.errors import AuthRejected, CrispError, Gone, NotSubscribed, Permanent
from app.db.base import StoredRow
from app.db.refresh import claim_due, find_due, put_off
from app.db.session import Database
from app.errors import CrispsyncError, Refused
from app.ingest import ingest, remove_contacts, remove_conversations, remove_messages
from app.records import Batch, ContactRecord, MessageRecord, Rejected
from app.sync.thread import Part
from app.sync.unmentioned import read_and_compare
from app.websites.connect import mark_uninstalled
from app.websites.rules import WebsiteRules, lock_website, rules_of

log = structlog.get_logger()

AT_ONCE = 20
HOLD_MS = 120_000
ASK_AGAIN_MS = 30_000
AFTER_TROUBLE_MS = 60_000
AFTER_REFUSAL_MS = 15 * 60_000
DOUBT_MS = 2_000
"""A hook is sent a moment after the change that the record's own time tells."""
SURELY_SETTLED_MS = 90_000
SINGLE_MESSAGES = 20


@dataclass(frozen=True, slots=True)
class Asking:
    """Requests about one website, paid from the hooks' share of the budget unless a person waits."""

    client: CrispClient
    website_id: str
    purpose: Literal["hooks", "interactive"] = "hooks"
    # A person wants to see what is new in the thread, also where nothing says that there is.
    reads_thread: bool = False

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        return await self.client.get(
            f"website/{self.website_id}/{path}",
            params,
            website_id=self.website_id,
            purpose=self.purpose,
        )


async def refresh_due(db: Database, client: CrispClient) -> int:
    """Ask for what is due now, AT_ONCE records of each kind at most; how many were asked for."""
    asked = 0
    for table in (contacts, conversations):
        async with db.read() as connection:
            due = await find_due(connection, table, AT_ONCE)
        for found in due:
            asked += await _refresh(db, client, table, found.website_id, found.id)
    return asked


async def _refresh(
    db: Database, client: CrispClient, table: Table, website_id: str, row_id: str
) -> bool:
    async with db.read() as connection:
        rules = await rules_of(connection, website_id)
    claimed = await db.transact(
        lambda connection: claim_due(connection, table, website_id, row_id, HOLD_MS)
    )
    if claimed is None:
        return False
    if not rules.applies_hooks:
        await _put_off(db, table, claimed, AFTER_REFUSAL_MS)
        return False
    asking = Asking(client, website_id)
    refresh = refresh_contact if table is contacts else refresh_conversation
    try:
        await refresh(db, asking, rules, claimed)
    except QuotaPause as pause:
        await _put_off(db, table, claimed, max(AFTER_TROUBLE_MS, to_ms(pause.until) - to_ms(now())))
    except NotSubscribed:
        await db.transact(
            lambda connection: mark_uninstalled(connection, website_id, rules.generation)
        )
        await _put_off(db, table, claimed, AFTER_REFUSAL_MS)
    except (AuthRejected, Permanent) as error:
        log.warning(
            "refresh.refused", website_id=website_id, record_id=row_id, error=type(error).__name__
        )
        await _put_off(db, table, claimed, AFTER_REFUSAL_MS)
    except CrispError as error:
        log.info(
            "refresh.later", website_id=website_id, record_id=row_id, error=type(error).__name__
        )
        await _put_off(db, table, claimed, AFTER_TROUBLE_MS)
    return True


async def _put_off(db: Database, table: Table, claimed: StoredRow, wait_ms: int) -> None:
    await db.transact(lambda connection: put_off(connection, table, claimed, wait_ms))


def _wait_ms(claimed: StoredRow, told_ms: int, asked_ms: int) -> int | None:
    """None when the answer is surely as new as the hint."""
    hint_ms = claimed.refresh_hint_ms or 0
    if told_ms >= hint_ms - DOUBT_MS or asked_ms >= hint_ms + SURELY_SETTLED_MS:
        return None
    return ASK_AGAIN_MS


async def refresh_contact(
    db: Database, asking: Asking, rules: WebsiteRules, claimed: StoredRow
) -> None:
    people_id = claimed.crisp_people_id
    asked_ms = asking.client.clock.now_ms()
    try:
        answer = await asking.get(f"people/profile/{refuse_path_part(people_id)}")
    except Gone:
        await _bury(db, rules, contacts, claimed, {people_id: asked_ms})
        return
    record = _profile(answer, people_id)
    if rules.import_custom_data:
        record = await _with_custom_data(asking, record)

    async def write(connection: AsyncConnection) -> None:
        await lock_website(connection, rules.id)
        await ingest(connection, rules, Batch(rules.id, contacts=[record]))
        wait_ms = _wait_ms(claimed, record.version.crisp_ms, answer.asked_ms)
        await put_off(connection, contacts, claimed, wait_ms)

    await db.transact(write)


def _profile(answer: Answer, people_id: str) -> ContactRecord:
    """Raises Permanent when the answer is about nobody or somebody else."""
    data = answer.data if isinstance(answer.data, dict) else {}
    record = translate.contact(data, answer.asked_ms, direct=True)
    if isinstance(record, Rejected) or record.people_id != people_id:
        raise Permanent("Crisp answered with another profile than the one asked for.")
    return record


async def _with_custom_data(asking: Asking, record: ContactRecord) -> ContactRecord:
    try:
        answer = await asking.get(f"people/data/{refuse_path_part(record.people_id)}")
    except (Gone, Permanent):
        return record
    return translate.with_custom_data(record, translate.custom_data(answer.data))


async def refresh_conversation(
    db: Database, asking: Asking, rules: WebsiteRules, claimed: StoredRow
) -> None:
    session_id = claimed.session_id
    path = f"conversation/{refuse_path_part(session_id)}"
    asked_ms = asking.client.clock.now_ms()
    try:
        answer = await asking.get(path)
    except Gone:
        await _bury(db, rules, conversations, claimed, {session_id: asked_ms})
        return
    data = answer.data if isinstance(answer.data, dict) else {}
    record = translate.conversation(data, answer.asked_ms, direct=True)
    if isinstance(record, Rejected) or record.session_id != session_id:
        raise Permanent("Crisp answered with another conversation than the one asked for.")
    single, gone = await _read_incomplete(db, asking, claimed)
    parts: list[Part] = []
    if asking.reads_thread or not claimed.messages_complete:
        parts = [part async for part in read_and_compare(db, asking, claimed)]

    async def write(connection: AsyncConnection) -> None:
        await lock_website(connection, rules.id)
        found = [message for part in parts for message in part.messages]
        read = [part.progress for part in parts if part.progress]
        messages = [*found, *single]
        batch = Batch(rules.id, conversations=[record], messages=messages, threads=read)
        await ingest(connection, rules, batch)
        removed = [*gone, *(removal for part in parts for removal in part.removed)]
        if removed:
            await remove_messages(connection, rules, removed)
        wait_ms = _wait_ms(claimed, record.version.crisp_ms, answer.asked_ms)
        await put_off(connection, conversations, claimed, wait_ms)

    await db.transact(write)


async def _read_incomplete(
    db: Database, asking: Asking, claimed: StoredRow
) -> tuple[list[MessageRecord], list[MessageRemoval]]:
    """The messages of which only an edit is known, and those of them that Crisp does not have (any more)."""
    async with db.read() as connection:
        fingerprints = await find_incomplete(
            connection, claimed.website_id, claimed.id, SINGLE_MESSAGES
        )
    found: list[MessageRecord] = []
    gone: list[MessageRemoval] = []
    for fingerprint in fingerprints:
        asked_ms = asking.client.clock.now_ms()
        path = f"conversation/{refuse_path_part(claimed.session_id)}/message/{fingerprint}"
        try:
            answer = await asking.get(path)
        except Gone:
            gone.append(MessageRemoval(claimed.session_id, fingerprint, asked_ms))
            continue
        data = answer.data if isinstance(answer.data, dict) else {}
        record = translate.message(data, claimed.session_id, answer.asked_ms)
        if isinstance(record, MessageRecord) and record.fingerprint == fingerprint:
            found.append(record)
    return found, gone


async def _bury(
    db: Database,
    rules: WebsiteRules,
    table: Table,
    claimed: StoredRow,
    removed: Mapping[str, int],
) -> None:
    """Gone, says the record itself (SPEC S9)."""

    async def write(connection: AsyncConnection) -> None:
        remove = remove_contacts if table is contacts else remove_conversations
        await remove(connection, rules, removed)
        await put_off(connection, table, claimed, None)

    await db.transact(write)


LOOK_EVERY = 1.0  # seconds
WITHOUT_CREDENTIAL = 30.0


async def keep_refreshing(
    db: Database, client: Callable[[], Awaitable[CrispClient]], stopping: asyncio.Event
) -> None:
    """Ask for what is due, until `stopping` is set. `client` raises Refused while there is no credential."""
    while not stopping.is_set():
        wait = LOOK_EVERY
        try:
            if await refresh_due(db, await client()):
                continue
        except Refused:
            wait = WITHOUT_CREDENTIAL
        except CrispsyncError as error:
            log.warning("refresh.waits", error=type(error).__name__)
        except Exception:  # the loop outlives whatever one record brings
            log.exception("refresh.stumbled")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await stopping.wait()
