"""Alerts: what is wrong, who is told, what was told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "alert_targets",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("disabled", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('email', 'hook')", name=op.f("ck_alert_targets_kind")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_targets")),
        sqlite_strict=True,
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("opened_at", base.UtcDateTime(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.Column("told_at", base.UtcDateTime(), nullable=True),
        sa.Column("resolved_at", base.UtcDateTime(), nullable=True),
        sa.Column("settle_seconds", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
        sqlite_strict=True,
    )
    op.create_index(
        "uq_alerts_open",
        "alerts",
        ["condition"],
        unique=True,
        sqlite_where=sa.text("resolved_at IS NULL"),
        postgresql_where=sa.text("resolved_at IS NULL"),
    )
    op.create_index(op.f("ix_alerts_condition_resolved_at"), "alerts", ["condition", "resolved_at"])
    op.create_index(op.f("ix_alerts_opened_at"), "alerts", ["opened_at"])
    _create_messages()


def _create_messages() -> None:
    op.create_table(
        "alert_messages",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("alert_id", sa.Text(), nullable=True),
        sa.Column("target_id", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=True),
        sa.Column("is_test", base.Flag(), nullable=False),
        sa.Column("payload", base.Json(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_ms", base.BigInt, nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("done_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'done', 'failed')", name=op.f("ck_alert_messages_state")
        ),
        sa.ForeignKeyConstraint(
            ["alert_id"],
            ["alerts.id"],
            name=op.f("fk_alert_messages_alert_id_alerts"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["target_id"],
            ["alert_targets.id"],
            name=op.f("fk_alert_messages_target_id_alert_targets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alert_messages")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_alert_messages_waiting",
        "alert_messages",
        ["due_ms"],
        sqlite_where=sa.text("state = 'waiting'"),
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index(op.f("ix_alert_messages_alert_id"), "alert_messages", ["alert_id"])
    op.create_index(
        op.f("ix_alert_messages_target_id_created_at"),
        "alert_messages",
        ["target_id", "created_at"],
    )


def downgrade() -> None:
    for table in ("alert_messages", "alerts", "alert_targets"):
        op.drop_table(table)
