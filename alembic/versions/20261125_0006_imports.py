"""Imports of CSV files: their plans, what they did, custom attributes, and who wrote a field."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_WITH_CONTACT = sa.text("contact_id IS NOT NULL")
_WITH_COMPANY = sa.text("company_key IS NOT NULL")


def upgrade() -> None:
    op.add_column(
        "contacts",
        sa.Column("field_sources", base.Json(), server_default=sa.text("'{}'"), nullable=False),
    )
    op.create_table(
        "custom_attributes",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("choices", base.Json(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "type IN ('text', 'integer', 'decimal', 'date', 'yes_no', 'choice', 'multi_choice')",
            name=op.f("ck_custom_attributes_type"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_custom_attributes_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "key", name=op.f("pk_custom_attributes")),
        sqlite_strict=True,
    )
    # Nothing has ever written to it.
    op.drop_table("imports")
    _create_imports()
    _create_rows()


def _create_imports() -> None:
    op.create_table(
        "imports",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("counts", base.Json(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("file_name", sa.Text(), nullable=False),
        sa.Column("file_size", base.BigInt, nullable=False),
        sa.Column("file", sa.Text(), nullable=True),
        sa.Column("layout", base.Json(), nullable=False),
        sa.Column("columns", base.Json(), nullable=False),
        sa.Column("options", base.Json(), nullable=False),
        sa.Column("repairs", sa.Text(), nullable=True),
        sa.Column("plan_hash", sa.Text(), nullable=True),
        sa.Column("planned_at", base.UtcDateTime(), nullable=True),
        sa.Column("expires_at", base.UtcDateTime(), nullable=True),
        sa.Column("started_at", base.UtcDateTime(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("checkpoint", base.Json(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column("lease_until_ms", base.BigInt, nullable=False),
        sa.CheckConstraint(
            "mode IN ('merge', 'overwrite', 'fill-empty', 'create-only', 'update-only')",
            name=op.f("ck_imports_mode"),
        ),
        sa.CheckConstraint(
            "state IN ('uploaded', 'planning', 'planned', 'committing', 'done', 'undoing', 'undone', 'failed', 'cancelled')",
            name=op.f("ck_imports_state"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_imports_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_imports")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_imports_website_id_created_at_id"), "imports", ["website_id", "created_at", "id"]
    )
    op.create_table(
        "import_mappings",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("columns", base.Json(), nullable=False),
        sa.Column("options", base.Json(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_import_mappings_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "name", name=op.f("pk_import_mappings")),
        sqlite_strict=True,
    )
    op.create_table(
        "import_companies",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.Column("made", base.Flag(), nullable=False),
        sa.Column("before", base.Json(), nullable=True),
        sa.Column("after", base.Json(), nullable=False),
        sa.Column("aliases", base.Json(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "import_id"],
            ["imports.website_id", "imports.id"],
            name=op.f("fk_import_companies_website_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "import_id", "company_id", name=op.f("pk_import_companies")
        ),
        sqlite_strict=True,
    )


def _create_rows() -> None:
    op.create_table(
        "import_rows",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("import_id", sa.Text(), nullable=False),
        sa.Column("line", base.BigInt, nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("email_norm", sa.Text(), nullable=True),
        sa.Column("contact_id", sa.Text(), nullable=True),
        sa.Column("company_key", sa.Text(), nullable=True),
        sa.Column("changes", base.Json(), nullable=True),
        sa.Column("problems", base.Json(), nullable=True),
        sa.Column("cells", base.Json(), nullable=True),
        sa.Column("basis", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "outcome IN ('create', 'update', 'unchanged', 'skip', 'error')",
            name=op.f("ck_import_rows_outcome"),
        ),
        sa.CheckConstraint(
            "state IN ('planned', 'applied', 'refused', 'repaired', 'undone', 'kept')",
            name=op.f("ck_import_rows_state"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "import_id"],
            ["imports.website_id", "imports.id"],
            name=op.f("fk_import_rows_website_id_import_id_imports"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "import_id", "line", name=op.f("pk_import_rows")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_import_rows_website_id_import_id_email_norm"),
        "import_rows",
        ["website_id", "import_id", "email_norm"],
    )
    op.create_index(
        op.f("ix_import_rows_website_id_import_id_outcome_state_line"),
        "import_rows",
        ["website_id", "import_id", "outcome", "state", "line"],
    )
    op.create_index(
        "ix_import_rows_contact",
        "import_rows",
        ["website_id", "contact_id", "import_id"],
        sqlite_where=_WITH_CONTACT,
        postgresql_where=_WITH_CONTACT,
    )
    op.create_index(
        "ix_import_rows_company",
        "import_rows",
        ["website_id", "import_id", "company_key"],
        sqlite_where=_WITH_COMPANY,
        postgresql_where=_WITH_COMPANY,
    )


def downgrade() -> None:
    for table in ("import_rows", "import_companies", "import_mappings", "imports"):
        op.drop_table(table)
    op.drop_table("custom_attributes")
    op.drop_column("contacts", "field_sources")
    op.create_table(
        "imports",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("mode", sa.Text(), nullable=False),
        sa.Column("counts", base.Json(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "mode IN ('merge', 'overwrite', 'fill-empty', 'create-only', 'update-only')",
            name=op.f("ck_imports_mode"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_imports_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_imports")),
        sqlite_strict=True,
    )
