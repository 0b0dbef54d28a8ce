"""Who did what. Users, sessions and tokens belong to the whole deployment, not to one website."""

from __future__ import annotations

from sqlalchemy import Column, Index, PrimaryKeyConstraint, Text

from app.db.base import Json, UtcDateTime, plain_table

audit_log = plain_table(
    "audit_log",
    Column("id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("website_id", Text),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text),
    Column("subject_id", Text),
    Column("before", Json),
    Column("after", Json),
    # The web request or job in which it happened, as in the logs.
    Column("request_id", Text),
    PrimaryKeyConstraint("id"),
    Index(None, "website_id", "at", "id"),
    Index(None, "subject_kind", "subject_id"),
)
