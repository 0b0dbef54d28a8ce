"""What was dropped last, and since when a website is uninstalled."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "purges",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at", base.UtcDateTime(), nullable=False),
        sa.Column("dropped", base.BigInt, nullable=False),
        sa.Column("upto", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_purges")),
        sqlite_strict=True,
    )
    op.add_column("websites", sa.Column("uninstalled_at", base.UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("websites", "uninstalled_at")
    op.drop_table("purges")
