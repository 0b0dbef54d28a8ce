"""How long the text of messages is kept."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("websites", sa.Column("message_days", sa.Integer(), nullable=True))
    op.add_column("messages", sa.Column("text_dropped_at", base.UtcDateTime(), nullable=True))
    op.add_column("conversations", sa.Column("texts_dropped_to", base.UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column("conversations", "texts_dropped_to")
    op.drop_column("messages", "text_dropped_at")
    op.drop_column("websites", "message_days")
