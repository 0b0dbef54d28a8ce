"""One row for each distinct hook body that was received."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, Text

from app.db.base import UtcDateTime, plain_table

# Not keyed by website: a hook is kept before anybody looks whose it is, and it may be nobody's.
inbox_events = plain_table(
    "inbox_events",
    Column("id", Text, primary_key=True),
    Column("website_id", Text),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("error", Text),
    Column("received_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Index(None, "state", "received_at"),
    CheckConstraint("state IN ('new', 'done', 'ignored', 'parked', 'dead')", name="state"),
)
