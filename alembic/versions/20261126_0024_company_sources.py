"""Companies know which of their fields a person wrote."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "companies",
        sa.Column("field_sources", base.Json(), server_default=sa.text("'{}'"), nullable=False),
    )


def downgrade() -> None:
    op.drop_column("companies", "field_sources")
