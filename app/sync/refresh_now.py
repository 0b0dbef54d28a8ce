"""Asking Crisp for one contact or conversation because a person wants to see it as it is now (SPEC V1).

Paid from the interactive reserve, so it works while a full sync uses up its share of the day.
"""

from __future__ import annotations

from typing import Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.contacts.tables import contacts
from app.conversations.tables import conversations
from app.crisp.client import CrispClient
from app.crisp.errors import NotSubscribed
from app.db.base import StoredRow
from app.db.refresh import claim_now, put_off
from app.db.session import Database
from app.errors import CrispsyncError, NotFound, Refused
from app.sync.refresh import (
    AFTER_TROUBLE_MS,
    HOLD_MS,
    Asking,
    refresh_contact,
    refresh_conversation,
)
from app.websites.connect import mark_uninstalled
from app.websites.rules import WebsiteRules, rules_of

Kind = Literal["contact", "conversation"]
TABLES = {"contact": contacts, "conversation": conversations}
BATCH = 20
"""Messages that Crisp gives at once: 20 by one account, 40 by another (crisp/GAPS.md 6)."""


def cost_of_contact(*, custom_data: bool) -> int:
    """Requests for the profile, and for its custom data where that is imported."""
    return 2 if custom_data else 1


def cost_of_conversation(*, complete: bool, messages: int) -> int:
    """Requests for the record and for the newest messages, or for all of a thread that was not read yet."""
    return 2 if complete else 1 + max(1, -(-messages // BATCH))


async def refresh_now(
    db: Database, client: CrispClient, actor: Actor, website_id: str, kind: Kind, row_id: str
) -> None:
    """Raises Forbidden, NotFound, Refused with a reason, or what `CrispClient.get` raises; then nothing changed."""
    actor.require(Role.MEMBER)
    async with db.read() as connection:
        rules = await rules_of(connection, website_id)
    _refuse_unreadable(rules)
    claimed = await db.transact(
        lambda connection: _claim(connection, actor, website_id, kind, row_id)
    )
    asking = Asking(client, website_id, "interactive", reads_thread=True)
    refresh = refresh_contact if kind == "contact" else refresh_conversation
    try:
        await refresh(db, asking, rules, claimed)
    except NotSubscribed:
        await db.transact(
            lambda connection: mark_uninstalled(connection, website_id, rules.generation)
        )
        raise
    except CrispsyncError:
        # What a hook had told in part is still wanted; the loop asks for it later.
        wait_ms = AFTER_TROUBLE_MS if claimed.refresh_hint_ms else None
        await db.transact(lambda connection: put_off(connection, TABLES[kind], claimed, wait_ms))
        raise


def _refuse_unreadable(rules: WebsiteRules) -> None:
    if rules.status in {"uninstalled", "disconnected"}:
        raise Refused(
            f"This website is {rules.status}, so nothing can be asked about it; what is here is kept."
        )


async def _claim(
    connection: AsyncConnection, actor: Actor, website_id: str, kind: Kind, row_id: str
) -> StoredRow:
    row = await claim_now(connection, TABLES[kind], website_id, row_id, HOLD_MS)
    if row is None:
        raise NotFound(f"There is no such {kind} in this website, or it was deleted.")
    if kind == "contact" and row.crisp_people_id is None:
        raise Refused(
            "This contact did not come from Crisp, so Crisp has nothing to tell about it."
        )
    await audit(
        connection, actor, f"{kind}.refreshed", website_id=website_id, subject=(kind, row_id)
    )
    return row
