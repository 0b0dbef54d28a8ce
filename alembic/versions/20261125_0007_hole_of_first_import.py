"""From when on a first import was not shown everything: read again until it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("websites", sa.Column("conversations_hole_ms", base.BigInt, nullable=True))


def downgrade() -> None:
    op.drop_column("websites", "conversations_hole_ms")
