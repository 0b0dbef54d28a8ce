"""Remedies of the Unmatched page: what was done, and what is needed to take it back."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "remedies",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", base.BigInt, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Text(), nullable=True),
        sa.Column("company_id", sa.Text(), nullable=True),
        sa.Column("counts", base.Json(), nullable=False),
        sa.Column("done_at", base.UtcDateTime(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=False),
        sa.Column("undone_at", base.UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.Column("kept", base.Json(), nullable=True),
        sa.CheckConstraint(
            "kind IN ('create', 'link', 'tie', 'ignore', 'leave')", name=op.f("ck_remedies_kind")
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_remedies_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_remedies")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_remedies_website_id_number"), "remedies", ["website_id", "number"])
    op.create_table(
        "remedy_rows",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("remedy_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("before", base.Json(), nullable=True),
        sa.Column("after", base.Json(), nullable=True),
        sa.CheckConstraint(
            "what IN ('contact', 'decisions', 'tie', 'company', 'left')",
            name=op.f("ck_remedy_rows_what"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "remedy_id"],
            ["remedies.website_id", "remedies.id"],
            name=op.f("fk_remedy_rows_website_id_remedy_id_remedies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "remedy_id", "what", "key", name=op.f("pk_remedy_rows")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "left_alone",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("left_by", sa.Text(), nullable=False),
        sa.Column("left_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "conversation_id"],
            ["conversations.website_id", "conversations.id"],
            name=op.f("fk_left_alone_website_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "conversation_id", name=op.f("pk_left_alone")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("left_alone")
    op.drop_table("remedy_rows")
    op.drop_table("remedies")
