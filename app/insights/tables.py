"""What each thread tells, kept up to date for what changed, and how far that has come."""

from __future__ import annotations

from sqlalchemy import (
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)

from app.db.base import BigInt, UtcDateTime, website_table

thread_facts = website_table(
    "thread_facts",
    Column("conversation_id", Text, nullable=False),
    Column("first_inbound_at", UtcDateTime),
    # Seconds; the second of each pair within the business hours of the website's place.
    Column("response_s", BigInt),
    Column("response_business_s", BigInt),
    Column("resolution_s", BigInt),
    Column("resolution_business_s", BigInt),
    Column("responder_id", Text),
    Column("responder", Text),
    Column("reopenings", Integer, nullable=False),
    Column("last_state", Text),
    Column("unanswered_since", UtcDateTime),
    # The same, while the conversation is not resolved.
    Column("waiting_since", UtcDateTime),
    Column("last_contact_at", UtcDateTime),
    PrimaryKeyConstraint("website_id", "conversation_id"),
    ForeignKeyConstraint(
        ["website_id", "conversation_id"],
        ["conversations.website_id", "conversations.id"],
        ondelete="CASCADE",
    ),
    Index(
        "ix_thread_facts_waiting",
        "website_id",
        "waiting_since",
        sqlite_where=text("waiting_since IS NOT NULL"),
        postgresql_where=text("waiting_since IS NOT NULL"),
    ),
)

# Changes up to `number` of the feed are in the facts, spans by `hours`. While `rebuilt_to` is set they are made anew, and
# only conversations with an id up to it have them.
thread_facts_places = website_table(
    "thread_facts_places",
    Column("number", BigInt, nullable=False),
    Column("hours", Text, nullable=False),
    Column("rebuilt_to", Text),
    PrimaryKeyConstraint("website_id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
)
