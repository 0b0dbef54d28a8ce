"""What a person does to contacts and companies: merge and take back, hide, own; e-mail domains of companies."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_OPEN = sa.text("undone_at IS NULL")
_COLUMNS: tuple[tuple[str, str, type[sa.types.TypeEngine[object]]], ...] = (
    ("contacts", "hidden_at", base.UtcDateTime),
    ("contacts", "merged_into", sa.Text),
    ("contacts", "owner_id", sa.Text),
    ("contacts", "owner_name", sa.Text),
    ("companies", "crisp_name", sa.Text),
    ("companies", "deleted_at", base.UtcDateTime),
    ("companies", "merged_into", sa.Text),
    ("companies", "owner_id", sa.Text),
    ("companies", "owner_name", sa.Text),
    ("company_aliases", "own_company_id", sa.Text),
    ("contact_companies", "own_contact_id", sa.Text),
    ("contact_companies", "own_company_id", sa.Text),
)
_PARTIAL = (
    ("ix_contacts_merged_into", "contacts", "merged_into"),
    ("ix_companies_merged_into", "companies", "merged_into"),
    ("ix_contact_companies_own_contact", "contact_companies", "own_contact_id"),
)


def upgrade() -> None:
    for table, column, kind in _COLUMNS:
        op.add_column(table, sa.Column(column, kind(), nullable=True))
    for name, table, column in _PARTIAL:
        where = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            name, table, ["website_id", column], sqlite_where=where, postgresql_where=where
        )
    # Until now a contact was hidden by a person where Crisp had not removed it.
    op.execute("UPDATE contacts SET hidden_at = deleted_at WHERE removed_observed_ms IS NULL")
    op.execute("UPDATE companies SET crisp_name = name WHERE named_ms > 0")
    _create_merges()
    _create_ties()


def _create_merges() -> None:
    op.create_table(
        "merges",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("number", base.BigInt, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("loser_id", sa.Text(), nullable=False),
        sa.Column("winner_id", sa.Text(), nullable=False),
        sa.Column("fields", base.Json(), nullable=False),
        sa.Column("merged_at", base.UtcDateTime(), nullable=False),
        sa.Column("merged_by", sa.Text(), nullable=False),
        sa.Column("undone_at", base.UtcDateTime(), nullable=True),
        sa.Column("undone_by", sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('contact', 'company')", name=op.f("ck_merges_kind")),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_merges_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_merges")),
        sqlite_strict=True,
    )
    op.create_index(
        "uq_merges_open",
        "merges",
        ["website_id", "kind", "loser_id"],
        unique=True,
        sqlite_where=_OPEN,
        postgresql_where=_OPEN,
    )
    op.create_index(op.f("ix_merges_website_id_winner_id"), "merges", ["website_id", "winner_id"])


def _create_ties() -> None:
    op.create_table(
        "domain_ties",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=True),
        sa.Column("own_company_id", sa.Text(), nullable=True),
        sa.Column("tied_by", sa.Text(), nullable=False),
        sa.Column("tied_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "company_id"],
            ["companies.website_id", "companies.id"],
            name=op.f("fk_domain_ties_website_id_companies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "domain", name=op.f("pk_domain_ties")),
        sqlite_strict=True,
    )
    op.create_index(
        op.f("ix_domain_ties_website_id_company_id"), "domain_ties", ["website_id", "company_id"]
    )


def downgrade() -> None:
    op.drop_table("domain_ties")
    op.drop_table("merges")
    for name, table, _ in _PARTIAL:
        op.drop_index(name, table_name=table)
    for table, column, _ in reversed(_COLUMNS):
        op.drop_column(table, column)
