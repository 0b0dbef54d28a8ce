"""Saved views: the address of a list under a name."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_views",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("owner_id", sa.Text(), nullable=False),
        sa.Column("list", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("query", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_saved_views_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_saved_views")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_saved_views_website_id_owner_id_list"),
        "saved_views",
        ["website_id", "owner_id", "list"],
    )


def downgrade() -> None:
    op.drop_table("saved_views")
