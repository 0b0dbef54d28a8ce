"""Audits: what they found to differ from Crisp, and when each thread was last compared."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("conversations", sa.Column("verified_ms", base.BigInt, nullable=True))
    op.create_table(
        "audit_findings",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("missed_by", sa.Text(), nullable=False),
        sa.Column("repaired", base.Flag(), nullable=False),
        sa.Column("found_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "what IN ('missing', 'changed', 'removed')", name=op.f("ck_audit_findings_what")
        ),
        sa.CheckConstraint(
            "missed_by IN ('hook', 'incremental', 'full')",
            name=op.f("ck_audit_findings_missed_by"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "run_id"],
            ["sync_runs.website_id", "sync_runs.id"],
            name=op.f("fk_audit_findings_website_id_run_id_sync_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "run_id", "kind", "external_id", name=op.f("pk_audit_findings")
        ),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("audit_findings")
    op.drop_column("conversations", "verified_ms")
