"""First schema: websites, contacts, companies, conversations, messages, runs, quota."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "inbox_events",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("deliveries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("received_at", base.UtcDateTime(), nullable=False),
        sa.Column("done_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "state IN ('new', 'done', 'ignored', 'parked', 'dead')",
            name=op.f("ck_inbox_events_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_inbox_events")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("inbox_events", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_inbox_events_state_received_at"), ["state", "received_at"], unique=False
        )

    op.create_table(
        "quota_pauses",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("until_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("in_a_row", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("credential", name=op.f("pk_quota_pauses")),
        sqlite_strict=True,
    )
    op.create_table(
        "quota_usage",
        sa.Column("credential", sa.Text(), nullable=False),
        sa.Column("day", sa.Text(), nullable=False),
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("used", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "credential", "day", "website_id", "purpose", name=op.f("pk_quota_usage")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "websites",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("connected_at", base.UtcDateTime(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("attention", sa.Text(), nullable=True),
        sa.Column("import_people", base.Flag(), nullable=False),
        sa.Column("import_conversations", base.Flag(), nullable=False),
        sa.Column("import_notes", base.Flag(), nullable=False),
        sa.Column("import_custom_data", base.Flag(), nullable=False),
        sa.Column("import_since", base.UtcDateTime(), nullable=True),
        sa.Column("mapping", base.Json(), nullable=False),
        sa.Column("time_zone", sa.Text(), nullable=False),
        sa.Column("first_imported_at", base.UtcDateTime(), nullable=True),
        sa.Column(
            "conversations_read_to_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "people_read_to_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("rescanned_on", sa.Text(), nullable=True),
        sa.Column("rolling_read", base.Json(), nullable=True),
        sa.Column("people_reread_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint(
            "status IN ('waiting', 'connected', 'paused', 'disconnected', 'uninstalled')",
            name=op.f("ck_websites_status"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_websites")),
        sqlite_strict=True,
    )
    op.create_table(
        "companies",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("attributes", base.Json(), nullable=False),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("named_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_companies_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_companies")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("companies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_companies_website_id_name_id"),
            ["website_id", "name", "id"],
            unique=False,
        )

    op.create_table(
        "contacts",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("crisp_people_id", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("avatar", sa.Text(), nullable=True),
        sa.Column("attributes", base.Json(), nullable=False),
        sa.Column("segments", base.Json(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("last_active_at", base.UtcDateTime(), nullable=True),
        sa.Column("signed_up_at", base.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", base.UtcDateTime(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("updated_at", base.UtcDateTime(), nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("crisp_fields", base.Json(), nullable=False),
        sa.Column("segment_sources", base.Json(), nullable=False),
        sa.Column("crisp_raw", base.Json(), nullable=True),
        sa.Column(
            "version_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "observed_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("seen_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "removed_observed_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.CheckConstraint(
            "source IN ('crisp', 'csv', 'api', 'manual')", name=op.f("ck_contacts_source")
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_contacts_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_contacts")),
        sa.UniqueConstraint(
            "website_id", "crisp_people_id", name=op.f("uq_contacts_website_id_crisp_people_id")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contacts_website_id_last_active_at_id"),
            ["website_id", "last_active_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_contacts_website_id_name_id"), ["website_id", "name", "id"], unique=False
        )

    op.create_table(
        "conversations",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=True),
        sa.Column("match_rule", sa.Text(), nullable=True),
        sa.Column("match_value", sa.Text(), nullable=True),
        sa.Column("match_verified", base.Flag(), nullable=False),
        sa.Column("matched_at", base.UtcDateTime(), nullable=True),
        sa.Column("conflicting_contact_id", sa.Text(), nullable=True),
        sa.Column("unmatched_reason", sa.Text(), nullable=True),
        sa.Column("people_id", sa.Text(), nullable=True),
        sa.Column("nickname", sa.Text(), nullable=True),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("email_norm", sa.Text(), nullable=True),
        sa.Column("email_verified", base.Flag(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("assigned_to", sa.Text(), nullable=True),
        sa.Column("assigned_user_id", sa.Text(), nullable=True),
        sa.Column("rating", sa.Integer(), nullable=True),
        sa.Column("metadata", base.Json(), nullable=False),
        sa.Column("last_message", sa.Text(), nullable=True),
        sa.Column("crisp_created_at", base.UtcDateTime(), nullable=True),
        sa.Column("crisp_updated_at", base.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", base.UtcDateTime(), nullable=True),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("raw", base.Json(), nullable=False),
        sa.Column(
            "version_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "observed_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("seen_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "removed_observed_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column("message_count", sa.Integer(), nullable=False),
        sa.Column("last_message_at", base.UtcDateTime(), nullable=True),
        sa.Column(
            "last_fingerprint", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True
        ),
        sa.Column("messages_due", base.Flag(), nullable=False),
        sa.Column("messages_complete", base.Flag(), nullable=False),
        sa.Column(
            "messages_version_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "messages_fingerprint",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.Column(
            "messages_back_to_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.CheckConstraint(
            "match_rule IN ('people_id', 'email', 'manual')",
            name=op.f("ck_conversations_match_rule"),
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'unresolved', 'resolved')", name=op.f("ck_conversations_status")
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_conversations_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_conversations")),
        sa.UniqueConstraint(
            "website_id", "session_id", name=op.f("uq_conversations_website_id_session_id")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.create_index(
            "ix_conversations_figures",
            [
                "website_id",
                "status",
                "assigned_to",
                "origin",
                "contact_id",
                "deleted_at",
                "message_count",
            ],
            unique=False,
        )
        batch_op.create_index(
            "ix_conversations_messages_due",
            ["website_id", "version_ms"],
            unique=False,
            sqlite_where=sa.text("messages_due = 1"),
            postgresql_where=sa.text("messages_due"),
        )
        batch_op.create_index(
            "ix_conversations_unmatched",
            ["website_id", "unmatched_reason", "crisp_updated_at"],
            unique=False,
            sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
            postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
        )
        batch_op.create_index(
            batch_op.f("ix_conversations_website_id_contact_id_crisp_updated_at"),
            ["website_id", "contact_id", "crisp_updated_at"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_conversations_website_id_crisp_updated_at_id"),
            ["website_id", "crisp_updated_at", "id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_conversations_website_id_email_norm"),
            ["website_id", "email_norm"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_conversations_website_id_people_id"),
            ["website_id", "people_id"],
            unique=False,
        )

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
    op.create_table(
        "operators",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_operators_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "user_id", name=op.f("pk_operators")),
        sqlite_strict=True,
    )
    op.create_table(
        "sync_runs",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("asked", sa.Text(), nullable=True),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("window_from", base.UtcDateTime(), nullable=True),
        sa.Column("window_to", base.UtcDateTime(), nullable=True),
        sa.Column("requests", sa.Integer(), nullable=False),
        sa.Column("counts", base.Json(), nullable=False),
        sa.Column("checkpoint", base.Json(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("started_at", base.UtcDateTime(), nullable=True),
        sa.Column("finished_at", base.UtcDateTime(), nullable=True),
        sa.Column("resume_at", base.UtcDateTime(), nullable=True),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("lease_owner", sa.Text(), nullable=True),
        sa.Column("lease_epoch", sa.Integer(), nullable=False),
        sa.Column(
            "lease_until_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.CheckConstraint("asked IN ('pause', 'cancel')", name=op.f("ck_sync_runs_asked")),
        sa.CheckConstraint(
            "kind IN ('full', 'incremental', 'backfill', 'audit')", name=op.f("ck_sync_runs_kind")
        ),
        sa.CheckConstraint(
            "state IN ('queued', 'running', 'paused', 'done', 'partial', 'failed', 'cancelled')",
            name=op.f("ck_sync_runs_state"),
        ),
        sa.ForeignKeyConstraint(
            ["website_id"], ["websites.id"], name=op.f("fk_sync_runs_website_id_websites")
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_sync_runs")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_sync_runs_website_id_created_at"),
            ["website_id", "created_at"],
            unique=False,
        )

    op.create_table(
        "company_aliases",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.CheckConstraint("kind IN ('domain', 'name')", name=op.f("ck_company_aliases_kind")),
        sa.ForeignKeyConstraint(
            ["website_id", "company_id"],
            ["companies.website_id", "companies.id"],
            name=op.f("fk_company_aliases_website_id_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "kind", "value", name=op.f("pk_company_aliases")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("company_aliases", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_company_aliases_website_id_company_id"),
            ["website_id", "company_id"],
            unique=False,
        )

    op.create_table(
        "contact_companies",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("since", base.UtcDateTime(), nullable=False),
        sa.Column("until", base.UtcDateTime(), nullable=True),
        sa.Column("replaced_another", base.Flag(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "company_id"],
            ["companies.website_id", "companies.id"],
            name=op.f("fk_contact_companies_website_id_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "contact_id"],
            ["contacts.website_id", "contacts.id"],
            name=op.f("fk_contact_companies_website_id_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "id", name=op.f("pk_contact_companies")),
        sqlite_strict=True,
    )
    with op.batch_alter_table("contact_companies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contact_companies_website_id_company_id"),
            ["website_id", "company_id"],
            unique=False,
        )
        batch_op.create_index(
            batch_op.f("ix_contact_companies_website_id_contact_id"),
            ["website_id", "contact_id"],
            unique=False,
        )

    op.create_table(
        "contact_emails",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("email_norm", sa.Text(), nullable=False),
        sa.Column("is_primary", base.Flag(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "contact_id"],
            ["contacts.website_id", "contacts.id"],
            name=op.f("fk_contact_emails_website_id_contact_id_contacts"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "email_norm", "contact_id", name=op.f("pk_contact_emails")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("contact_emails", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_contact_emails_website_id_contact_id"),
            ["website_id", "contact_id"],
            unique=False,
        )

    op.create_table(
        "conversation_companies",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("company_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "company_id"],
            ["companies.website_id", "companies.id"],
            name=op.f("fk_conversation_companies_website_id_company_id_companies"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "conversation_id"],
            ["conversations.website_id", "conversations.id"],
            name=op.f("fk_conversation_companies_website_id_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "conversation_id", "company_id", name=op.f("pk_conversation_companies")
        ),
        sqlite_strict=True,
    )
    with op.batch_alter_table("conversation_companies", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_conversation_companies_website_id_company_id"),
            ["website_id", "company_id"],
            unique=False,
        )

    op.create_table(
        "link_decisions",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column("contact_id", sa.Text(), nullable=False),
        sa.Column("decision", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=False),
        sa.Column("decided_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint("decision IN ('pin', 'deny')", name=op.f("ck_link_decisions_decision")),
        sa.ForeignKeyConstraint(
            ["website_id", "conversation_id"],
            ["conversations.website_id", "conversations.id"],
            name=op.f("fk_link_decisions_website_id_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "conversation_id", "contact_id", name=op.f("pk_link_decisions")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "messages",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("conversation_id", sa.Text(), nullable=False),
        sa.Column(
            "fingerprint", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("direction", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("content", base.Json(), nullable=True),
        sa.Column("sender_id", sa.Text(), nullable=True),
        sa.Column("sender_name", sa.Text(), nullable=True),
        sa.Column("automated", base.Flag(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=True),
        sa.Column("sent_at", base.UtcDateTime(), nullable=True),
        sa.Column("edited_at", base.UtcDateTime(), nullable=True),
        sa.Column("deleted_at", base.UtcDateTime(), nullable=True),
        sa.Column("raw", base.Json(), nullable=False),
        sa.Column(
            "version_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "observed_ms", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column(
            "removed_observed_ms",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=True,
        ),
        sa.CheckConstraint(
            "direction IN ('inbound', 'outbound', 'internal')", name=op.f("ck_messages_direction")
        ),
        sa.ForeignKeyConstraint(
            ["website_id", "conversation_id"],
            ["conversations.website_id", "conversations.id"],
            name=op.f("fk_messages_website_id_conversation_id_conversations"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "conversation_id", "fingerprint", name=op.f("pk_messages")
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "sync_failures",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("happened_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id", "run_id"],
            ["sync_runs.website_id", "sync_runs.id"],
            name=op.f("fk_sync_failures_website_id_run_id_sync_runs"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "website_id", "run_id", "kind", "external_id", name=op.f("pk_sync_failures")
        ),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("sync_failures")
    op.drop_table("messages")
    op.drop_table("link_decisions")
    with op.batch_alter_table("conversation_companies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversation_companies_website_id_company_id"))

    op.drop_table("conversation_companies")
    with op.batch_alter_table("contact_emails", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_emails_website_id_contact_id"))

    op.drop_table("contact_emails")
    with op.batch_alter_table("contact_companies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contact_companies_website_id_contact_id"))
        batch_op.drop_index(batch_op.f("ix_contact_companies_website_id_company_id"))

    op.drop_table("contact_companies")
    with op.batch_alter_table("company_aliases", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_company_aliases_website_id_company_id"))

    op.drop_table("company_aliases")
    with op.batch_alter_table("sync_runs", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_runs_website_id_created_at"))

    op.drop_table("sync_runs")
    op.drop_table("operators")
    op.drop_table("imports")
    with op.batch_alter_table("conversations", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_conversations_website_id_people_id"))
        batch_op.drop_index(batch_op.f("ix_conversations_website_id_email_norm"))
        batch_op.drop_index(batch_op.f("ix_conversations_website_id_crisp_updated_at_id"))
        batch_op.drop_index(batch_op.f("ix_conversations_website_id_contact_id_crisp_updated_at"))
        batch_op.drop_index(
            "ix_conversations_unmatched",
            sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
            postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
        )
        batch_op.drop_index(
            "ix_conversations_messages_due",
            sqlite_where=sa.text("messages_due = 1"),
            postgresql_where=sa.text("messages_due"),
        )
        batch_op.drop_index("ix_conversations_figures")

    op.drop_table("conversations")
    with op.batch_alter_table("contacts", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_contacts_website_id_name_id"))
        batch_op.drop_index(batch_op.f("ix_contacts_website_id_last_active_at_id"))

    op.drop_table("contacts")
    with op.batch_alter_table("companies", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_companies_website_id_name_id"))

    op.drop_table("companies")
    op.drop_table("websites")
    op.drop_table("quota_usage")
    op.drop_table("quota_pauses")
    with op.batch_alter_table("inbox_events", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_inbox_events_state_received_at"))

    op.drop_table("inbox_events")
