"""Files of companies beside files of contacts (SPEC I12)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0033"
down_revision = "0032"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("imports", "import_mappings"):
        # In one statement, which both databases know: to copy a table on SQLite would delete its rows' rows.
        op.execute(
            f"ALTER TABLE {table} ADD COLUMN kind TEXT DEFAULT 'contacts' NOT NULL "
            f"CONSTRAINT ck_{table}_kind CHECK (kind IN ('contacts', 'companies'))"
        )
    op.add_column("import_rows", sa.Column("company_id", sa.Text(), nullable=True))


def downgrade() -> None:
    # What a company's row wrote could no longer be taken back: it would be taken for a contact's.
    for table in ("import_mappings", "imports"):
        op.execute(f"DELETE FROM {table} WHERE kind = 'companies'")  # noqa: S608  # names of ours
        op.drop_column(table, "kind")
    op.drop_column("import_rows", "company_id")
