"""What a person merged, so that it can be taken back (SPEC D6), and what a person left without a contact (V5)."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    text,
)

from app.db.base import BigInt, Json, UtcDateTime, website_table

_OPEN = text("undone_at IS NULL")

# The direct word of a person: `loser` into `winner`. `merged_into` of a contact or company is what
# all open ones together make of it.
merges = website_table(
    "merges",
    Column("id", Text, nullable=False),
    Column("number", BigInt, nullable=False),
    Column("kind", Text, nullable=False),
    Column("loser_id", Text, nullable=False),
    Column("winner_id", Text, nullable=False),
    # By field what the winner had, what it got, and who had written the former.
    Column("fields", Json, nullable=False),
    Column("merged_at", UtcDateTime, nullable=False),
    Column("merged_by", Text, nullable=False),
    Column("undone_at", UtcDateTime),
    Column("undone_by", Text),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    # Nothing is merged twice before it was taken back.
    Index(
        "uq_merges_open",
        "website_id",
        "kind",
        "loser_id",
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    ),
    Index(None, "website_id", "winner_id"),
    CheckConstraint("kind IN ('contact', 'company')", name="kind"),
)

left_alone = website_table(
    "left_alone",
    Column("conversation_id", Text, nullable=False),
    # Why it had no contact then: with another reason it is a question again.
    Column("reason", Text, nullable=False),
    Column("left_by", Text, nullable=False),
    Column("left_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "conversation_id"),
    ForeignKeyConstraint(
        ["website_id", "conversation_id"],
        ["conversations.website_id", "conversations.id"],
        ondelete="CASCADE",
    ),
)
