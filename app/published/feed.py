"""Changes with what they changed: the rows as they are now, or the word that they are gone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.feed import Change
from app.published.loading import (
    load_companies,
    load_contacts,
    load_conversations,
    load_links,
    load_memberships,
    load_messages,
)
from app.published.shapes import (
    Company,
    Contact,
    Conversation,
    Id,
    Link,
    Membership,
    Message,
    Moment,
    Shape,
    WebsiteId,
)

Kind: TypeAlias = Literal[
    "website", "company", "contact", "membership", "conversation", "link", "message"
]
Told: TypeAlias = Contact | Company | Membership | Conversation | Link | Message


class ChangeShape(Shape):
    """One change. `data` is the record as it is now; it is null when the record is gone altogether.

    What a record holds of others (a contact its memberships, a conversation its link) is told by a
    change of that kind, not by one of the record.
    """

    website_id: WebsiteId
    kind: Kind = Field(examples=["contact"])
    id: Id = Field(description="Of a link the conversation's; of a message the conversation's too.")
    fingerprint: int | None = Field(description="Of messages, together with `id`.")
    deleted: bool
    changed_at: Moment | None = Field(examples=["2026-03-02T09:00:00.000Z"])
    data: Told | None


Load: TypeAlias = Callable[[AsyncConnection, str, Sequence[Any]], Awaitable[Mapping[Any, Told]]]
LOADERS: Mapping[str, Load] = {
    "company": load_companies,
    "contact": load_contacts,
    "membership": load_memberships,
    "conversation": load_conversations,
    "link": load_links,
    "message": load_messages,
}


async def with_data(
    connection: AsyncConnection, changes: Sequence[Change], *, notes: bool
) -> list[ChangeShape]:
    """In the same order. Without `notes`, changes of private notes are left out (SPEC C6)."""
    wanted: dict[tuple[str, str], dict[Any, None]] = {}
    for change in changes:
        wanted.setdefault((change.website_id, change.kind), {})[change.key] = None
    found = {
        (website_id, kind): await LOADERS[kind](connection, website_id, list(keys))
        for (website_id, kind), keys in wanted.items()
    }
    told = []
    for change in changes:
        data = found[change.website_id, change.kind].get(change.key)
        if notes or not (isinstance(data, Message) and data.type == "note"):
            told.append(_told(change, data))
    return told


def _is_hidden(data: Told) -> bool:
    """Removed, hidden, or merged into another."""
    return any(getattr(data, name, None) is not None for name in ("deleted_at", "merged_into"))


def _told(change: Change, data: Told | None) -> ChangeShape:
    key, fingerprint = change.key, None
    if change.kind == "message":
        key, fingerprint = change.key
    return ChangeShape(
        website_id=change.website_id,
        kind=change.kind,
        id=key,
        fingerprint=fingerprint,
        deleted=data is None or _is_hidden(data),
        changed_at=change.changed_at,
        data=data,
    )
