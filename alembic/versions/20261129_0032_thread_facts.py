"""What each thread tells, kept for the figures; made anew by whoever works when nothing is there.

And indexes that answer alone who belongs to a company now, and which conversations have no contact.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db.base import BigInt, UtcDateTime

revision = "0032"
down_revision = "0031"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "thread_facts",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("first_inbound_at", UtcDateTime(), nullable=True),
        sa.Column("response_s", BigInt, nullable=True),
        sa.Column("response_business_s", BigInt, nullable=True),
        sa.Column("resolution_s", BigInt, nullable=True),
        sa.Column("resolution_business_s", BigInt, nullable=True),
        sa.Column("responder_id", sa.Text(), nullable=True),
        sa.Column("responder", sa.Text(), nullable=True),
        sa.Column("reopenings", sa.Integer(), nullable=False),
        sa.Column("last_state", sa.Text(), nullable=True),
        sa.Column("unanswered_since", UtcDateTime(), nullable=True),
        sa.Column("waiting_since", UtcDateTime(), nullable=True),
        sa.Column("last_contact_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["website_id", "conversation_id"],
            ["conversations.website_id", "conversations.id"],
            name=op.f("fk_thread_facts_website_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "conversation_id", name=op.f("pk_thread_facts")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_thread_facts_waiting",
        "thread_facts",
        ["website_id", "waiting_since"],
        sqlite_where=sa.text("waiting_since IS NOT NULL"),
        postgresql_where=sa.text("waiting_since IS NOT NULL"),
    )
    op.create_table(
        "thread_facts_places",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("number", BigInt, nullable=False),
        sa.Column("hours", sa.Text(), nullable=False),
        sa.Column("rebuilt_to", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_thread_facts_places_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", name=op.f("pk_thread_facts_places")),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_contact_companies_current",
        "contact_companies",
        ["website_id", "contact_id", "company_id"],
        sqlite_where=sa.text("until IS NULL"),
        postgresql_where=sa.text("until IS NULL"),
    )
    _index_unmatched("id")


def _index_unmatched(*more: str) -> None:
    name = "ix_conversations_unmatched"
    op.drop_index(name, table_name="conversations")
    columns = ["website_id", "unmatched_reason", "crisp_updated_at", "deleted_at", "email_norm"]
    op.create_index(
        name,
        "conversations",
        [*columns, *more],
        sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
        postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
    )


def downgrade() -> None:
    _index_unmatched()
    op.drop_index("ix_contact_companies_current", table_name="contact_companies")
    op.drop_table("thread_facts_places")
    op.drop_table("thread_facts")
