"""Conversations, messages, operators; whose a conversation is stands in its own columns."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
    true,
)
from sqlalchemy import UniqueConstraint as Unique

from app.db.base import BigInt, Flag, Json, Told, UtcDateTime, website_table

DOMAIN_OF_ADDRESS = "replace(email_norm, rtrim(email_norm, replace(email_norm, '@', '')), '')"
"""As `domain_of` in app/matching/statements.py says it, letter by letter: only then the index helps."""

_UNSEEN = frozenset(
    {
        "search",
        "raw",
        "version_ms",
        "observed_ms",
        "seen_ms",
        "removed_observed_ms",
        "direct_ms",
        "field_versions",
        "refresh_due_ms",
        "refresh_hint_ms",
        "last_fingerprint",
        "messages_due",
        "messages_complete",
        "messages_version_ms",
        "messages_fingerprint",
        "messages_back_to_ms",
        "messages_read_to_ms",
        "verified_ms",
        "texts_dropped_to",
    }
)
_UNSEEN_OF_MESSAGES = frozenset(
    {
        "sender_id",
        "origin",
        "raw",
        "version_ms",
        "observed_ms",
        "removed_observed_ms",
    }
)

conversations = website_table(
    "conversations",
    Column("id", Text, nullable=False),
    Column("session_id", Text, nullable=False),
    # Whose it is (SPEC M): written by app/matching only.
    Column("contact_id", Text),
    Column("match_rule", Text),
    Column("match_value", Text),
    Column("match_verified", Flag, nullable=False),
    Column("matched_at", UtcDateTime),
    Column("conflicting_contact_id", Text),
    Column("unmatched_reason", Text),
    # What Crisp says of it
    Column("people_id", Text),
    Column("nickname", Text),
    Column("email", Text),
    Column("email_norm", Text),
    Column("email_verified", Flag, nullable=False),
    Column("status", Text, nullable=False),
    Column("subject", Text),
    Column("origin", Text),
    Column("assigned_to", Text),
    Column("assigned_user_id", Text),
    Column("rating", Integer),
    Column("metadata", Json, nullable=False),
    Column("last_message", Text),
    Column("crisp_created_at", UtcDateTime),
    Column("crisp_updated_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    Column("search", Text, nullable=False),
    Column("raw", Json, nullable=False),
    Column("version_ms", BigInt, nullable=False),
    Column("observed_ms", BigInt, nullable=False),
    Column("seen_ms", BigInt, nullable=False),
    Column("removed_observed_ms", BigInt),
    # When a GET of the record itself last found it: only that revives what was removed (SPEC D4).
    Column("direct_ms", BigInt),
    # How new each field is that is newer or older than the rest of the row (app/versions.py).
    Column("field_versions", Json, nullable=False, server_default=text("'{}'")),
    # A hook told less than the whole: ask for the record from then on; news at least this new counts.
    Column("refresh_due_ms", BigInt),
    Column("refresh_hint_ms", BigInt),
    # Its messages: what is stored, and how far reading them has come.
    Column("message_count", Integer, nullable=False),
    Column("last_message_at", UtcDateTime),
    Column("last_fingerprint", BigInt),
    Column("messages_due", Flag, nullable=False),
    Column("messages_complete", Flag, nullable=False),
    Column("messages_version_ms", BigInt),
    Column("messages_fingerprint", BigInt),
    Column("messages_back_to_ms", BigInt),
    Column("messages_read_to_ms", BigInt),
    # When an audit last compared its whole thread with Crisp (SPEC S8).
    Column("verified_ms", BigInt),
    # Of messages that were sent before then the text is dropped (SPEC P8).
    Column("texts_dropped_to", UtcDateTime),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Unique("website_id", "session_id"),
    Index(None, "website_id", "crisp_updated_at", "id"),
    Index(None, "website_id", "crisp_created_at", "id"),
    Index(None, "website_id", "message_count", "id"),
    Index(None, "website_id", "contact_id", "crisp_updated_at"),
    # Everything that lists count and chips filter by: wide rows need not be read for figures.
    Index(
        "ix_conversations_figures",
        "website_id",
        "status",
        "assigned_to",
        "origin",
        "contact_id",
        "deleted_at",
        "message_count",
    ),
    Index(None, "website_id", "people_id"),
    Index(None, "website_id", "email_norm"),
    # Few are rated: their mean must not cost a look at all that moved.
    Index(
        "ix_conversations_rated",
        "website_id",
        "crisp_updated_at",
        sqlite_where=text("rating IS NOT NULL"),
        postgresql_where=text("rating IS NOT NULL"),
    ),
    Index(
        "ix_conversations_messages_due",
        "website_id",
        "version_ms",
        sqlite_where=text("messages_due = 1"),
        postgresql_where=text("messages_due"),
    ),
    Index(
        "ix_conversations_unmatched",
        "website_id",
        "unmatched_reason",
        "crisp_updated_at",
        "deleted_at",
        "email_norm",
        "id",
        "status",
        "assigned_to",
        "origin",
        sqlite_where=text("unmatched_reason IS NOT NULL"),
        postgresql_where=text("unmatched_reason IS NOT NULL"),
    ),
    # A group of one reason and one domain.
    Index(
        "ix_conversations_unmatched_domain",
        "website_id",
        "unmatched_reason",
        text(DOMAIN_OF_ADDRESS),
        "crisp_updated_at",
        "id",
        sqlite_where=text("unmatched_reason IS NOT NULL"),
        postgresql_where=text("unmatched_reason IS NOT NULL"),
    ),
    Index(
        "ix_conversations_refresh_due",
        "website_id",
        "refresh_due_ms",
        sqlite_where=text("refresh_due_ms IS NOT NULL"),
        postgresql_where=text("refresh_due_ms IS NOT NULL"),
    ),
    CheckConstraint("status IN ('pending', 'unresolved', 'resolved')", name="status"),
    CheckConstraint("match_rule IN ('people_id', 'email', 'manual')", name="match_rule"),
    told=Told("conversation", ("id",), _UNSEEN),
)

link_decisions = website_table(
    "link_decisions",
    Column("conversation_id", Text, nullable=False),
    Column("contact_id", Text, nullable=False),
    Column("decision", Text, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("decided_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "conversation_id", "contact_id"),
    ForeignKeyConstraint(
        ["website_id", "conversation_id"],
        ["conversations.website_id", "conversations.id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("decision IN ('pin', 'deny')", name="decision"),
    told=Told("link", ("conversation_id",)),
)

conversation_companies = website_table(
    "conversation_companies",
    Column("conversation_id", Text, nullable=False),
    Column("company_id", Text, nullable=False),
    PrimaryKeyConstraint("website_id", "conversation_id", "company_id"),
    ForeignKeyConstraint(
        ["website_id", "conversation_id"],
        ["conversations.website_id", "conversations.id"],
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["website_id", "company_id"], ["companies.website_id", "companies.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "company_id"),
    told=Told("link", ("conversation_id",)),
)

messages = website_table(
    "messages",
    Column("conversation_id", Text, nullable=False),
    Column("fingerprint", BigInt, nullable=False),
    Column("direction", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("content", Json),
    Column("sender_id", Text),
    Column("sender_name", Text),
    Column("automated", Flag, nullable=False),
    Column("origin", Text),
    Column("sent_at", UtcDateTime),
    Column("edited_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    # Its text was kept for long enough and is gone for good (SPEC P8).
    Column("text_dropped_at", UtcDateTime),
    Column("raw", Json, nullable=False),
    Column("version_ms", BigInt, nullable=False),
    Column("observed_ms", BigInt, nullable=False),
    Column("removed_observed_ms", BigInt),
    # Untrue while only an edit or a removal of it is known, and not the message itself.
    Column("complete", Flag, nullable=False, server_default=true()),
    PrimaryKeyConstraint("website_id", "conversation_id", "fingerprint"),
    ForeignKeyConstraint(
        ["website_id", "conversation_id"],
        ["conversations.website_id", "conversations.id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("direction IN ('inbound', 'outbound', 'internal')", name="direction"),
    told=Told("message", ("conversation_id", "fingerprint"), _UNSEEN_OF_MESSAGES),
)

operators = website_table(
    "operators",
    Column("user_id", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text),
    Column("role", Text),
    PrimaryKeyConstraint("website_id", "user_id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
)
