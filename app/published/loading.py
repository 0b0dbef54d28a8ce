"""Rows into shapes, many at once: a fixed number of statements for any number of ids."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import and_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversation_companies, conversations, messages
from app.db.base import StoredRow
from app.db.lookup import find_by_key
from app.published.shapes import (
    Address,
    Company,
    Contact,
    Conversation,
    Link,
    Membership,
    Message,
    Owner,
)

_CONTACT = (
    "website_id", "crisp_people_id", "name", "email", "phone", "avatar", "segments", "attributes",
    "source", "last_active_at", "signed_up_at", "created_at", "updated_at", "deleted_at", "merged_into",
    "owner_id", "owner_name",
)  # fmt: skip
_COMPANY = (
    "website_id", "name", "domain", "attributes", "created_at", "updated_at", "deleted_at",
    "merged_into", "owner_id", "owner_name",
)  # fmt: skip
_CONVERSATION = (
    "website_id", "session_id", "contact_id", "match_rule", "match_value", "match_verified",
    "matched_at", "conflicting_contact_id", "unmatched_reason", "status", "subject", "origin",
    "assigned_to", "rating", "nickname", "email", "email_verified", "metadata", "message_count",
    "last_message_at", "crisp_created_at", "crisp_updated_at", "deleted_at",
)  # fmt: skip
_MESSAGE = (
    "website_id", "direction", "type", "body", "content", "sender_name", "automated", "sent_at",
    "edited_at", "deleted_at", "text_dropped_at",
)  # fmt: skip


async def load_contacts(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Contact]:
    """By id; those that are not stored (any more) are missing, here and below."""
    rows = await _find(connection, contacts, website_id, ids, _CONTACT)
    addresses = await _addresses(connection, website_id, list(rows))
    members = await _memberships(connection, website_id, contact_companies.c.contact_id, list(rows))
    belonging: dict[str, list[Membership]] = defaultdict(list)
    for membership in members:
        belonging[membership.contact_id].append(membership)
    return {
        key: Contact(**_owned(row), addresses=addresses[key], companies=belonging[key])
        for key, row in rows.items()
    }


async def load_companies(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Company]:
    rows = await _find(connection, companies, website_id, ids, _COMPANY)
    a = company_aliases.c
    found = await connection.execute(
        select(a.company_id, a.kind, a.value)
        .where(a.website_id == website_id, a.company_id.in_(list(rows)))
        .order_by(a.kind, a.value)
    )
    aliases: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in found:
        aliases[row.company_id, row.kind].append(row.value)
    return {
        key: Company(**_owned(row), domains=aliases[key, "domain"], names=aliases[key, "name"])
        for key, row in rows.items()
    }


async def load_memberships(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Membership]:
    found = await _memberships(connection, website_id, contact_companies.c.id, ids)
    return {membership.id: membership for membership in found}


async def load_conversations(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Conversation]:
    rows = await _find(connection, conversations, website_id, ids, _CONVERSATION)
    link = conversation_companies.c
    found = await connection.execute(
        select(link.conversation_id, link.company_id)
        .where(link.website_id == website_id, link.conversation_id.in_(list(rows)))
        .order_by(link.company_id)
    )
    owners: dict[str, list[str]] = defaultdict(list)
    for row in found:
        owners[row.conversation_id].append(row.company_id)
    return {key: _conversation(row, owners[key]) for key, row in rows.items()}


async def load_links(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, Link]:
    """By the conversation's id."""
    found = await load_conversations(connection, website_id, ids)
    return {key: conversation.link for key, conversation in found.items()}


async def load_messages(
    connection: AsyncConnection, website_id: str, keys: Sequence[tuple[str, int]]
) -> dict[tuple[str, int], Message]:
    """By conversation id and fingerprint."""
    key = ("conversation_id", "fingerprint")
    rows = await find_by_key(connection, messages, website_id, key, keys, _MESSAGE)
    return {(one[0], one[1]): _message(row) for one, row in rows.items()}


def _message(row: StoredRow) -> Message:
    values = _values(row)
    if row.deleted_at is not None:
        values |= {"body": "", "content": None}
    return Message(**values)


def _conversation(row: StoredRow, company_ids: list[str]) -> Conversation:
    values = _values(row)
    link = Link(
        website_id=row.website_id,
        conversation_id=row.id,
        contact_id=values.pop("contact_id"),
        company_ids=company_ids,
        rule=values.pop("match_rule"),
        value=values.pop("match_value"),
        verified=values.pop("match_verified"),
        matched_at=values.pop("matched_at"),
        conflicting_contact_id=values.pop("conflicting_contact_id"),
        unmatched_reason=values.pop("unmatched_reason"),
    )
    created_at, updated_at = values.pop("crisp_created_at"), values.pop("crisp_updated_at")
    return Conversation(**values, link=link, created_at=created_at, updated_at=updated_at)


def _owned(row: StoredRow) -> dict[str, Any]:
    values = _values(row)
    owner_id, name = values.pop("owner_id"), values.pop("owner_name")
    return values | {"owner": Owner(id=owner_id, name=name) if name else None}


def _values(row: StoredRow) -> dict[str, Any]:
    return row._asdict()


async def _find(
    connection: AsyncConnection,
    table: Any,
    website_id: str,
    ids: Sequence[str],
    columns: tuple[str, ...],
) -> dict[str, StoredRow]:
    keys = [(one,) for one in ids]
    rows = await find_by_key(connection, table, website_id, ("id",), keys, columns)
    return {key[0]: row for key, row in rows.items()}


async def _addresses(
    connection: AsyncConnection, website_id: str, ids: Sequence[str]
) -> dict[str, list[Address]]:
    e = contact_emails.c
    rows = await connection.execute(
        select(e.contact_id, e.email_norm, e.is_primary, e.source)
        .where(e.website_id == website_id, e.contact_id.in_(ids))
        .order_by(e.is_primary.desc(), e.email_norm)
    )
    found: dict[str, list[Address]] = defaultdict(list)
    for row in rows:
        address = Address(email=row.email_norm, primary=row.is_primary, source=row.source)
        found[row.contact_id].append(address)
    return found


async def _memberships(
    connection: AsyncConnection, website_id: str, column: Any, ids: Sequence[str]
) -> list[Membership]:
    link = contact_companies.c
    rows = await connection.execute(
        select(
            link.id, link.website_id, link.contact_id, link.company_id, link.source, link.since,
            link.until, companies.c.name.label("company_name"),
        )
        .join_from(
            contact_companies,
            companies,
            and_(companies.c.website_id == link.website_id, companies.c.id == link.company_id),
        )
        .where(link.website_id == website_id, column.in_(ids))
        .order_by(link.until.is_not(None), link.since.desc(), link.id)
    )  # fmt: skip
    return [Membership(**_values(row)) for row in rows]
