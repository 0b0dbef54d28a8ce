"""What a complete and healthy full pass did not meet may be gone in Crisp (SPEC S9).

Each is confirmed by a GET of the record itself; more than 2 % of a kind wait for a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.clock import from_ms
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.crisp import translate
from app.crisp.client import refuse_path_part
from app.crisp.errors import Gone
from app.ingest import remove_contacts, remove_conversations
from app.records import Batch
from app.sync.pull import Pull, split_rejected

SHARE_THAT_WAITS = 0.02
AT_ONCE = 25


async def confirm_removals(pull: Pull) -> None:
    """Only after everything was read; nothing is believed when the pass looked unhealthy."""
    if pull.suspects or await pull.count_failed():
        return
    state = pull.claim.checkpoint
    if pull.rules.import_people:
        await _confirm(pull, "people", state["people"]["began_ms"], state["people"]["to_ms"])
    if pull.rules.import_conversations and state["conversations"]["from_ms"] == 0:
        began_ms = state["conversations_began_ms"]
        await _confirm(pull, "conversations", began_ms, state["conversations"]["to_ms"])


async def confirm_people(pull: Pull, began_ms: int, end_ms: int) -> None:
    await _confirm(pull, "people", began_ms, end_ms)


async def _confirm(pull: Pull, what: str, began_ms: int, end_ms: int) -> None:
    missing, live = await _find_missing(pull, what, began_ms, end_ms)
    if not missing:
        return
    share = len(missing) / max(1, live)
    if share > SHARE_THAT_WAITS and not pull.claim.checkpoint.get("accept_removals"):
        pull.suspect(
            f"{len(missing)} of {live} {what} were not met in Crisp; so many removals wait for a "
            "person (crispsync sync --full --accept-removals)"
        )
        return
    for start in range(0, len(missing), AT_ONCE):
        ids = missing[start : start + AT_ONCE]
        confirm = _confirm_people if what == "people" else _confirm_conversations
        await confirm(pull, ids)


async def _find_missing(pull: Pull, what: str, began_ms: int, end_ms: int) -> tuple[list[str], int]:
    """External ids of live rows that this pass did not meet, and how many are live in all."""
    table, external, born = (
        (contacts, contacts.c.crisp_people_id, contacts.c.signed_up_at)
        if what == "people"
        else (conversations, conversations.c.session_id, conversations.c.crisp_created_at)
    )
    is_live = (
        table.c.website_id == pull.website_id,
        external.is_not(None),
        table.c.deleted_at.is_(None),
    )
    unmet = (table.c.seen_ms < began_ms, born.is_(None) | (born <= from_ms(end_ms)))
    async with pull.db.read() as connection:
        rows = await connection.execute(select(external).where(*is_live, *unmet).order_by(external))
        missing = [str(row[0]) for row in rows]
        live = await connection.scalar(select(func.count()).select_from(table).where(*is_live))
    return missing, int(live or 0)


async def _ask(pull: Pull, path: str, ids: Sequence[str]) -> dict[str, tuple[int, Any]]:
    """For each id when it was asked for and what Crisp has; None when it says there is nothing."""

    async def one(external_id: str) -> tuple[str, tuple[int, Any]]:
        asked_ms = pull.client.clock.now_ms()
        try:
            answer = await pull.get(f"{path}/{refuse_path_part(external_id)}")
        except Gone:
            return external_id, (asked_ms, None)
        return external_id, (answer.asked_ms, answer.data)

    return dict(await asyncio.gather(*(one(external_id) for external_id in ids)))


async def _confirm_people(pull: Pull, ids: Sequence[str]) -> None:
    found = await _ask(pull, "people/profile", ids)
    records, rejected = split_rejected(
        [
            translate.contact(data, asked_ms, direct=True)
            for asked_ms, data in found.values()
            if isinstance(data, dict)
        ]
    )
    gone = {
        external_id: asked_ms for external_id, (asked_ms, data) in found.items() if data is None
    }

    async def bury(connection: AsyncConnection) -> None:
        if gone:
            await remove_contacts(connection, pull.rules, gone)
            if pull.auditor is not None:
                await pull.auditor.keep_removed(connection, "contact", gone)

    await pull.save(
        Batch(pull.website_id, contacts=records),
        bury,
        rejected=rejected,
        counts={"removed": len(gone)},
    )


async def _confirm_conversations(pull: Pull, ids: Sequence[str]) -> None:
    found = await _ask(pull, "conversation", ids)
    records, rejected = split_rejected(
        [
            translate.conversation(data, asked_ms, direct=True)
            for asked_ms, data in found.values()
            if isinstance(data, dict)
        ]
    )
    gone = {
        external_id: asked_ms for external_id, (asked_ms, data) in found.items() if data is None
    }

    async def bury(connection: AsyncConnection) -> None:
        if gone:
            await remove_conversations(connection, pull.rules, gone)

    await pull.save(
        Batch(pull.website_id, conversations=records),
        bury,
        rejected=rejected,
        counts={"removed": len(gone)},
    )
