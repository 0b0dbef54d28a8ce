"""Who was erased: keyed hashes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erased_identities",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("erased_at", base.UtcDateTime(), nullable=False),
        sa.Column("swept_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("website_id", "digest", name=op.f("pk_erased_identities")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_erased_identities_unswept",
        "erased_identities",
        ["website_id"],
        sqlite_where=sa.text("swept_at IS NULL"),
        postgresql_where=sa.text("swept_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_table("erased_identities")
