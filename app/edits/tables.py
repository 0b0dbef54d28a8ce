"""What was done to conversations without a contact, so that it can be taken back (SPEC V5)."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
)

from app.db.base import BigInt, Json, UtcDateTime, website_table

remedies = website_table(
    "remedies",
    Column("id", Text, nullable=False),
    Column("number", BigInt, nullable=False),
    Column("kind", Text, nullable=False),
    # The group that was meant, where it was one: a reason, a domain.
    Column("reason", Text),
    Column("domain", Text),
    # Whose they are from then on.
    Column("contact_id", Text),
    Column("company_id", Text),
    Column("counts", Json, nullable=False),
    Column("done_at", UtcDateTime, nullable=False),
    Column("done_by", Text, nullable=False),
    Column("undone_at", UtcDateTime),
    Column("undone_by", Text),
    # Sentences about what others changed since, which stayed when it was taken back.
    Column("kept", Json),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "number"),
    CheckConstraint("kind IN ('create', 'link', 'tie', 'ignore', 'leave')", name="kind"),
)

# One row that a remedy wrote: a contact made, a conversation's decisions, a domain's tie, a company
# made, a conversation left alone.
remedy_rows = website_table(
    "remedy_rows",
    Column("remedy_id", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("key", Text, nullable=False),
    Column("before", Json),
    Column("after", Json),
    PrimaryKeyConstraint("website_id", "remedy_id", "what", "key"),
    ForeignKeyConstraint(
        ["website_id", "remedy_id"], ["remedies.website_id", "remedies.id"], ondelete="CASCADE"
    ),
    CheckConstraint("what IN ('contact', 'decisions', 'tie', 'company', 'left')", name="what"),
)
