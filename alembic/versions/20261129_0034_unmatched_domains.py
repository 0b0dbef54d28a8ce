"""Conversations without a contact found by the domain of the visitor's address, and counted by the index alone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0034"
down_revision = "0033"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _index_unmatched("status", "assigned_to", "origin")
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


def _index_unmatched(*more: str) -> None:
    name = "ix_conversations_unmatched"
    op.drop_index(name, table_name="conversations")
    columns = [
        "website_id",
        "unmatched_reason",
        "crisp_updated_at",
        "deleted_at",
        "email_norm",
        "id",
    ]
    op.create_index(
        name,
        "conversations",
        [*columns, *more],
        sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
        postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
    )


def downgrade() -> None:
    _index_unmatched()
    op.drop_index("ix_conversations_unmatched_domain", table_name="conversations")
