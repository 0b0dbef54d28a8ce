"""What becomes of a row of an import stands in no index: a commit changes thousands of them at once."""

from __future__ import annotations

from alembic import op

revision = "0030"
down_revision = "0028"
branch_labels = None
depends_on = None

_OLD = "ix_import_rows_website_id_import_id_outcome_state_line"
_NEW = "ix_import_rows_website_id_import_id_outcome_line"


def upgrade() -> None:
    op.drop_index(_OLD, "import_rows")
    op.create_index(_NEW, "import_rows", ["website_id", "import_id", "outcome", "line"])
    if op.get_bind().dialect.name == "postgresql":
        # Room on each page for the second version of its rows: then no index is written for it.
        op.execute("ALTER TABLE import_rows SET (fillfactor = 50)")


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE import_rows RESET (fillfactor)")
    op.drop_index(_NEW, "import_rows")
    op.create_index(_OLD, "import_rows", ["website_id", "import_id", "outcome", "state", "line"])
