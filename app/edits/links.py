"""A person's word about whose a conversation is, which no rule overrides (SPEC M6)."""

from __future__ import annotations

from typing import Literal

from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.conversations.tables import conversations, link_decisions
from app.db.changes import note_changes
from app.db.upsert import upsert
from app.edits.merges import require_row
from app.errors import NotFound, Refused
from app.matching.link import relink
from app.websites.rules import lock_website

Decision = Literal["pin", "deny"]


async def decide_link(
    connection: AsyncConnection,
    website_id: str,
    conversation_id: str,
    contact_id: str,
    decision: Decision,
    actor: Actor,
) -> None:
    """`pin`: it is this contact's, which also moves it there; `deny`: it is not. Raises NotFound, Refused."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    await _require_conversation(connection, website_id, conversation_id)
    contact = await require_row(connection, website_id, "contact", contact_id)
    if decision == "pin" and contact.deleted_at is not None:
        raise Refused("That contact is deleted or merged into another one; choose a live one.")
    d = link_decisions.c
    one_pin = d.decision == "pin" if decision == "pin" else d.contact_id == contact_id
    await connection.execute(
        delete(link_decisions).where(
            d.website_id == website_id,
            d.conversation_id == conversation_id,
            or_(d.contact_id == contact_id, one_pin),
        )
    )
    row = {
        "website_id": website_id,
        "conversation_id": conversation_id,
        "contact_id": contact_id,
        "decision": decision,
        "decided_by": actor.name,
        "decided_at": clock.now(),
    }
    key = ("website_id", "conversation_id", "contact_id")
    await upsert(connection, link_decisions, [row], key=key)
    await _follow(
        connection, website_id, conversation_id, contact_id, actor, f"link.{_PAST[decision]}"
    )


_PAST = {"pin": "pinned", "deny": "denied"}


async def take_link_back(
    connection: AsyncConnection,
    website_id: str,
    conversation_id: str,
    contact_id: str,
    actor: Actor,
) -> None:
    """The rules decide again about this contact. Raises NotFound where nobody had decided."""
    actor.require(Role.MEMBER)
    await lock_website(connection, website_id)
    d = link_decisions.c
    gone = await connection.execute(
        delete(link_decisions)
        .where(
            d.website_id == website_id,
            d.conversation_id == conversation_id,
            d.contact_id == contact_id,
        )
        .returning(d.conversation_id)
    )
    if gone.scalars().first() is None:
        raise NotFound("Nobody pinned or denied that; there is nothing to take back.")
    await _follow(connection, website_id, conversation_id, contact_id, actor, "link.released")


async def _require_conversation(
    connection: AsyncConnection, website_id: str, conversation_id: str
) -> None:
    found = await connection.scalar(
        select(conversations.c.id).where(
            conversations.c.website_id == website_id, conversations.c.id == conversation_id
        )
    )
    if found is None:
        raise NotFound("There is no such conversation in this website.")


async def _follow(
    connection: AsyncConnection,
    website_id: str,
    conversation_id: str,
    contact_id: str,
    actor: Actor,
    action: str,
) -> None:
    note_changes(connection, "link", website_id, [conversation_id])
    await relink(connection, website_id, [conversation_id])
    await audit(
        connection,
        actor,
        action,
        website_id=website_id,
        subject=("conversation", conversation_id),
        after={"contact_id": contact_id},
    )
