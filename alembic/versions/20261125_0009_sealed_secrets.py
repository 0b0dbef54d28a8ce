"""Sealed values: the plugin's credential, and each website's token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sealed_secrets",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("stored_at", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("website_id", "field", name=op.f("pk_sealed_secrets")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_sealed_secrets_key_id"), "sealed_secrets", ["key_id"])


def downgrade() -> None:
    op.drop_table("sealed_secrets")
