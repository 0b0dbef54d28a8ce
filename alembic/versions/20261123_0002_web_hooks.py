"""Web hooks: the inbox keeps bodies, single fields have versions, records can be due for a GET."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_NEW = sa.text("state = 'new'")
_KEPT = sa.text("state IN ('parked', 'dead')")
_DUE = sa.text("refresh_due_ms IS NOT NULL")

# Until now everything that was stored had been read.
_READ_TO = {
    "sqlite": "UPDATE conversations SET messages_read_to_ms = "
    "CAST((julianday(last_message_at) - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "UPDATE conversations SET messages_read_to_ms = "
    "CAST(extract(epoch FROM last_message_at) * 1000 AS bigint)",
}


def upgrade() -> None:
    _create_counters()
    for table in ("contacts", "conversations"):
        op.add_column(table, sa.Column("direct_ms", base.BigInt, nullable=True))
        op.add_column(
            table,
            sa.Column(
                "field_versions", base.Json(), server_default=sa.text("'{}'"), nullable=False
            ),
        )
        op.add_column(table, sa.Column("refresh_due_ms", base.BigInt, nullable=True))
        op.add_column(table, sa.Column("refresh_hint_ms", base.BigInt, nullable=True))
        op.create_index(
            f"ix_{table}_refresh_due",
            table,
            ["website_id", "refresh_due_ms"],
            sqlite_where=_DUE,
            postgresql_where=_DUE,
        )
    op.add_column("conversations", sa.Column("messages_read_to_ms", base.BigInt, nullable=True))
    op.execute(sa.text(_READ_TO[op.get_bind().dialect.name]))
    op.add_column(
        "messages", sa.Column("complete", base.Flag(), server_default=sa.true(), nullable=False)
    )
    op.add_column("websites", sa.Column("activated_at", base.UtcDateTime(), nullable=True))
    op.execute("UPDATE websites SET activated_at = first_imported_at")
    op.add_column(
        "websites",
        sa.Column("installation_told_ms", base.BigInt, server_default=sa.text("0"), nullable=False),
    )
    _widen_inbox()


def _create_counters() -> None:
    op.create_table(
        "hook_days",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("arrived", sa.Integer(), nullable=False),
        sa.Column("ignored", sa.Integer(), nullable=False),
        sa.Column("dead", sa.Integer(), nullable=False),
        sa.Column("repeated_first", sa.Integer(), nullable=False),
        sa.Column("delays", base.Json(), nullable=False),
        sa.Column("last_received_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("website_id", "event", "day", name=op.f("pk_hook_days")),
        sqlite_strict=True,
    )
    op.create_table(
        "missed_hooks",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("missed", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("website_id", "day", "kind", name=op.f("pk_missed_hooks")),
        sqlite_strict=True,
    )
    op.create_table(
        "hook_refusals",
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("refused", base.BigInt, nullable=False),
        sa.Column("last_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("cause", name=op.f("pk_hook_refusals")),
        sqlite_strict=True,
    )


def _widen_inbox() -> None:
    op.add_column("inbox_events", sa.Column("body", sa.LargeBinary(), nullable=True))
    for name, kind, default in (
        ("emitted_ms", base.BigInt, "0"),
        ("first_attempt", sa.Integer(), "1"),
    ):
        column = sa.Column(name, kind, server_default=sa.text(default), nullable=False)
        op.add_column("inbox_events", column)
    op.drop_index(op.f("ix_inbox_events_state_received_at"), "inbox_events")
    op.create_index(op.f("ix_inbox_events_received_at"), "inbox_events", ["received_at"])
    op.create_index(
        "ix_inbox_events_new",
        "inbox_events",
        ["website_id", "received_at"],
        sqlite_where=_NEW,
        postgresql_where=_NEW,
    )
    op.create_index(
        "ix_inbox_events_kept",
        "inbox_events",
        ["state", "website_id", "received_at"],
        sqlite_where=_KEPT,
        postgresql_where=_KEPT,
    )


def downgrade() -> None:
    for index in ("kept", "new", "received_at"):
        op.drop_index(f"ix_inbox_events_{index}", "inbox_events")
    op.create_index(
        op.f("ix_inbox_events_state_received_at"), "inbox_events", ["state", "received_at"]
    )
    for name in ("first_attempt", "emitted_ms", "body"):
        op.drop_column("inbox_events", name)
    op.drop_column("websites", "installation_told_ms")
    op.drop_column("websites", "activated_at")
    op.drop_column("messages", "complete")
    op.drop_column("conversations", "messages_read_to_ms")
    for table in ("contacts", "conversations"):
        op.drop_index(f"ix_{table}_refresh_due", table)
        for name in ("refresh_hint_ms", "refresh_due_ms", "field_versions", "direct_ms"):
            op.drop_column(table, name)
    for table in ("hook_refusals", "missed_hooks", "hook_days"):
        op.drop_table(table)
