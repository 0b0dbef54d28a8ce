"""What API requests with an idempotency key were answered, for a day."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "api_replies",
        sa.Column("actor_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("asked_hash", sa.Text(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("body", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("actor_id", "key", name=op.f("pk_api_replies")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_api_replies_created_at"), "api_replies", ["created_at"])


def downgrade() -> None:
    op.drop_table("api_replies")
