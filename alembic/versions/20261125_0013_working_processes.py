"""Who works, whose turn it is, and what was seen of each scope."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("taken_ms", base.BigInt, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_turns")),
        sqlite_strict=True,
    )
    op.create_table(
        "working_processes",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("beat_ms", base.BigInt, nullable=False),
        sa.Column("ahead_of_database_ms", base.BigInt, nullable=False),
        sa.Column("ahead_of_crisp_ms", base.BigInt, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_working_processes")),
        sqlite_strict=True,
    )
    op.create_table(
        "scope_outcomes",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("worked_at", base.UtcDateTime(), nullable=True),
        sa.Column("refused_at", base.UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("credential", "scope", name=op.f("pk_scope_outcomes")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    for table in ("scope_outcomes", "working_processes", "turns"):
        op.drop_table(table)
