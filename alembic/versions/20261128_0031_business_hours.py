"""Business hours of each website, and its rated conversations found by themselves."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("websites", sa.Column("business_hours", sa.Text(), nullable=True))
    op.create_index(
        "ix_conversations_rated",
        "conversations",
        ["website_id", "crisp_updated_at"],
        sqlite_where=sa.text("rating IS NOT NULL"),
        postgresql_where=sa.text("rating IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_conversations_rated", table_name="conversations")
    op.drop_column("websites", "business_hours")
