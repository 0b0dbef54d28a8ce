"""Conversations as every list shows them, with whose they are and what names them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, select

from app.contacts.tables import contacts
from app.conversations.tables import conversations, messages
from app.db.base import AnySelect

FIRST_WORDS = case(
    (
        and_(conversations.c.subject.is_(None), conversations.c.last_message.is_(None)),
        select(func.substr(messages.c.body, 1, 200))
        .where(
            messages.c.website_id == conversations.c.website_id,
            messages.c.conversation_id == conversations.c.id,
            messages.c.type == "text",
            messages.c.deleted_at.is_(None),
        )
        .order_by(messages.c.sent_at, messages.c.fingerprint)
        .limit(1)
        .correlate(conversations)
        .scalar_subquery(),
    )
).label("first_words")
"""What names a conversation of which Crisp tells neither subject nor last message."""


def rows_of(website_id: str, *extra: ColumnElement[Any]) -> AnySelect:
    """Live conversations with the columns that every list of them shows."""
    c = conversations.c
    return (
        select(
            c.id, c.status, c.subject, c.last_message, c.origin, c.assigned_to,
            c.nickname, c.email, c.contact_id, c.unmatched_reason, c.message_count, c.rating,
            c.crisp_created_at, c.crisp_updated_at, c.last_message_at, c.messages_due,
            FIRST_WORDS, contacts.c.name.label("contact_name"), contacts.c.email.label("contact_email"),
            *extra,
        )
        .select_from(
            conversations.outerjoin(
                contacts,
                and_(contacts.c.website_id == c.website_id, contacts.c.id == c.contact_id),
            )
        )
        .where(c.website_id == website_id, c.deleted_at.is_(None))
    )  # fmt: skip
