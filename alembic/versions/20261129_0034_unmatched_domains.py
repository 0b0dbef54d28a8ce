"""Conversations without a contact found by the domain of the visitor's address."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_conversations_unmatched_domain",
        "conversations",
        [
            "website_id",
            "unmatched_reason",
            sa.text("replace(email_norm, rtrim(email_norm, replace(email_norm, '@', '')), '')"),
            "crisp_updated_at",
            "id",
        ],
        sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
        postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_conversations_unmatched_domain", table_name="conversations")
