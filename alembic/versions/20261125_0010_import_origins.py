"""Rows of a repaired file know the line of the first file that they repair."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("import_rows", sa.Column("origin", base.BigInt, nullable=True))


def downgrade() -> None:
    op.drop_column("import_rows", "origin")
