"""Runs, their leases and their failed records."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
)

from app.db.base import BigInt, Flag, Json, UtcDateTime, plain_table, website_table

sync_runs = website_table(
    "sync_runs",
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("asked", Text),
    Column("started_by", Text, nullable=False),
    # The request in which it was asked for, as in the logs and the audit log.
    Column("request_id", Text),
    Column("window_from", UtcDateTime),
    Column("window_to", UtcDateTime),
    Column("requests", Integer, nullable=False),
    Column("counts", Json, nullable=False),
    Column("checkpoint", Json, nullable=False),
    Column("error", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("started_at", UtcDateTime),
    Column("finished_at", UtcDateTime),
    Column("resume_at", UtcDateTime),
    # The installation it was asked for, and who works on it until when (database time, epoch ms).
    Column("generation", Integer, nullable=False),
    Column("lease_owner", Text),
    Column("lease_epoch", Integer, nullable=False),
    Column("lease_until_ms", BigInt, nullable=False),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "created_at"),
    CheckConstraint("kind IN ('full', 'incremental', 'backfill', 'audit')", name="kind"),
    CheckConstraint(
        "state IN ('queued', 'running', 'paused', 'done', 'partial', 'failed', 'cancelled')",
        name="state",
    ),
    CheckConstraint("asked IN ('pause', 'cancel')", name="asked"),
)

# What an audit found to differ from Crisp (SPEC S8).
audit_findings = website_table(
    "audit_findings",
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("what", Text, nullable=False),
    Column("missed_by", Text, nullable=False),
    Column("repaired", Flag, nullable=False),
    Column("found_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "run_id", "kind", "external_id"),
    ForeignKeyConstraint(
        ["website_id", "run_id"], ["sync_runs.website_id", "sync_runs.id"], ondelete="CASCADE"
    ),
    CheckConstraint("what IN ('missing', 'changed', 'removed')", name="what"),
    CheckConstraint("missed_by IN ('hook', 'incremental', 'full')", name="missed_by"),
)

sync_failures = website_table(
    "sync_failures",
    Column("run_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("happened_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "run_id", "kind", "external_id"),
    ForeignKeyConstraint(
        ["website_id", "run_id"], ["sync_runs.website_id", "sync_runs.id"], ondelete="CASCADE"
    ),
)

# Each process that works tells every few seconds that it does, on the database's clock (epoch ms), and
# by how many ms its own clock is ahead of others.
working_processes = plain_table(
    "working_processes",
    Column("name", Text, primary_key=True),
    Column("beat_ms", BigInt, nullable=False),
    Column("ahead_of_database_ms", BigInt, nullable=False),
    Column("ahead_of_crisp_ms", BigInt),
)
