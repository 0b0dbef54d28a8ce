"""The inbox of web hooks, and what is counted about them."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    Index,
    Integer,
    LargeBinary,
    PrimaryKeyConstraint,
    Text,
    text,
)

from app.db.base import BigInt, Json, UtcDateTime, plain_table, website_table

# Not keyed by website: a hook is kept before anybody looks whose it is, and it may be nobody's.
inbox_events = plain_table(
    "inbox_events",
    # SHA-256 of the body, hex: Crisp gives hooks no id, and a body that comes again is the same hook.
    Column("id", Text, primary_key=True),
    Column("website_id", Text),
    Column("event", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("deliveries", Integer, nullable=False),
    Column("error", Text),
    Column("received_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    # The raw bytes as signed; dropped when a hook turns out to be nobody's, and after its retention.
    Column("body", LargeBinary),
    # Crisp's time of the event, epoch ms, never later than five minutes after it came (case 16).
    Column("emitted_ms", BigInt, nullable=False, server_default=text("0")),
    # X-Delivery-Attempt-Count of the delivery that came first; above 1, an earlier one was lost.
    Column("first_attempt", Integer, nullable=False, server_default=text("1")),
    Index(None, "received_at"),
    Index(
        "ix_inbox_events_new",
        "website_id",
        "received_at",
        sqlite_where=text("state = 'new'"),
        postgresql_where=text("state = 'new'"),
    ),
    Index(
        "ix_inbox_events_kept",
        "state",
        "website_id",
        "received_at",
        sqlite_where=text("state IN ('parked', 'dead')"),
        postgresql_where=text("state IN ('parked', 'dead')"),
    ),
    CheckConstraint("state IN ('new', 'done', 'ignored', 'parked', 'dead')", name="state"),
)

# SQLite uses a partial index only where its condition stands literally.
IS_NEW = text("state = 'new'")
IS_KEPT = text("state IN ('parked', 'dead')")

# `website_id` is empty for hooks that are nobody's; days are UTC, as 2026-11-23.
hook_days = website_table(
    "hook_days",
    Column("event", Text, nullable=False),
    Column("day", Text, nullable=False),
    Column("arrived", Integer, nullable=False),
    Column("ignored", Integer, nullable=False),
    Column("dead", Integer, nullable=False),
    Column("repeated_first", Integer, nullable=False),
    # From received to applied: how many fell into which step of `webhooks.health.DELAY_STEPS`.
    Column("delays", Json, nullable=False),
    Column("last_received_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "event", "day"),
)

# Refused deliveries leave a number and a time, nothing else (SPEC P3).
hook_refusals = plain_table(
    "hook_refusals",
    Column("cause", Text, primary_key=True),
    Column("refused", BigInt, nullable=False),
    Column("last_at", UtcDateTime, nullable=False),
)
