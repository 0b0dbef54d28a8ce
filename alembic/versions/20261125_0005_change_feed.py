"""The change feed: what each transaction changed, numbered in the order of the commits."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "change_batches",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("number", base.BigInt, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("ids", base.Json(), nullable=False),
        sa.Column("changed_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("website_id", "number", name=op.f("pk_change_batches")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_change_batches_changed_at"), "change_batches", ["changed_at"])
    op.create_table(
        "change_counters",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("last", base.BigInt, nullable=False),
        sa.Column("dropped", base.BigInt, nullable=False),
        sa.PrimaryKeyConstraint("website_id", name=op.f("pk_change_counters")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("change_counters")
    op.drop_table("change_batches")
