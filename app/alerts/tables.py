"""What is wrong and since when, who is to be told, and what was told to whom."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, Text, text

from app.db.base import BigInt, Flag, Json, UtcDateTime, plain_table

# Not keyed by website: some conditions and targets are the whole deployment's (website_id null).
alert_targets = plain_table(
    "alert_targets",
    Column("id", Text, primary_key=True),
    Column("website_id", Text),
    Column("kind", Text, nullable=False),
    # An e-mail address; of a web hook only what may be shown: its whole address is sealed.
    Column("address", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("created_by", Text, nullable=False),
    # Why nothing is sent there any more.
    Column("disabled", Text),
    CheckConstraint("kind IN ('email', 'hook')", name="kind"),
)

alerts = plain_table(
    "alerts",
    Column("id", Text, primary_key=True),
    # Cause and website in one, so that one alert of each can be open at a time.
    Column("condition", Text, nullable=False),
    Column("website_id", Text),
    Column("cause", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("opened_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    # Not told yet: it was seen only once.
    Column("told_at", UtcDateTime),
    Column("resolved_at", UtcDateTime),
    # How long it must not have been seen to count as resolved; longer for what comes and goes.
    Column("settle_seconds", Integer, nullable=False),
    Index(
        "uq_alerts_open",
        "condition",
        unique=True,
        sqlite_where=text("resolved_at IS NULL"),
        postgresql_where=text("resolved_at IS NULL"),
    ),
    Index(None, "condition", "resolved_at"),
    Index(None, "opened_at"),
)

alert_messages = plain_table(
    "alert_messages",
    Column("id", Text, primary_key=True),
    Column("alert_id", Text, ForeignKey("alerts.id", ondelete="CASCADE")),
    Column("target_id", Text, ForeignKey("alert_targets.id", ondelete="CASCADE"), nullable=False),
    Column("website_id", Text),
    Column("is_test", Flag, nullable=False),
    # What is sent, the same at each try.
    Column("payload", Json, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    # When it may be tried next, on the database's clock (epoch ms); while it is being sent, when
    # another process may believe that the sender was killed.
    Column("due_ms", BigInt, nullable=False),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Index(
        "ix_alert_messages_waiting",
        "due_ms",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(None, "alert_id"),
    Index(None, "target_id", "created_at"),
    CheckConstraint("state IN ('waiting', 'done', 'failed')", name="state"),
)

# SQLite uses a partial index only where its condition stands literally.
IS_WAITING = text("state = 'waiting'")
IS_OPEN = text("resolved_at IS NULL")
