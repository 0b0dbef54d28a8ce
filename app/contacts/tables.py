"""A contact and its addresses."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    PrimaryKeyConstraint,
    Text,
    text,
)
from sqlalchemy import UniqueConstraint as Unique

from app.db.base import BigInt, Flag, Json, Told, UtcDateTime, website_table

_UNSEEN = frozenset(
    {
        "updated_at",
        "search",
        "crisp_fields",
        "segment_sources",
        "crisp_raw",
        "version_ms",
        "observed_ms",
        "seen_ms",
        "removed_observed_ms",
        "direct_ms",
        "field_versions",
        "refresh_due_ms",
        "refresh_hint_ms",
    }
)

contacts = website_table(
    "contacts",
    Column("id", Text, nullable=False),
    Column("crisp_people_id", Text),
    Column("email", Text),
    Column("name", Text),
    Column("phone", Text),
    Column("avatar", Text),
    Column("attributes", Json, nullable=False),
    Column("segments", Json, nullable=False),
    Column("source", Text, nullable=False),
    Column("last_active_at", UtcDateTime),
    Column("signed_up_at", UtcDateTime),
    Column("deleted_at", UtcDateTime),
    # Hidden by a person: no pull brings it back, unlike what was removed in Crisp (SPEC I12).
    Column("hidden_at", UtcDateTime),
    # The live contact that a person merged it into; it is then hidden itself (SPEC D6).
    Column("merged_into", Text),
    # Who of the team looks after it; the name as it was when somebody chose.
    Column("owner_id", Text),
    Column("owner_name", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("updated_at", UtcDateTime, nullable=False),
    Column("search", Text, nullable=False),
    # Crisp's side of the contact: fields as last seen (SPEC D7), the raw profile, how new they are.
    Column("crisp_fields", Json, nullable=False),
    Column("segment_sources", Json, nullable=False),
    # Which of the fields something other than Crisp wrote last, and when (app/sources.py).
    Column("field_sources", Json, nullable=False, server_default=text("'{}'")),
    Column("crisp_raw", Json),
    Column("version_ms", BigInt, nullable=False),
    Column("observed_ms", BigInt, nullable=False),
    Column("seen_ms", BigInt, nullable=False),
    Column("removed_observed_ms", BigInt),
    # As in conversations: what revives it, how new single fields are, when to ask for it.
    Column("direct_ms", BigInt),
    Column("field_versions", Json, nullable=False, server_default=text("'{}'")),
    Column("refresh_due_ms", BigInt),
    Column("refresh_hint_ms", BigInt),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Unique("website_id", "crisp_people_id"),
    Index(None, "website_id", "last_active_at", "id"),
    Index(None, "website_id", "name", "id"),
    # What the list counts: wide rows need not be read for it.
    Index("ix_contacts_figures", "website_id", "source", "deleted_at", "id"),
    Index(
        "ix_contacts_refresh_due",
        "website_id",
        "refresh_due_ms",
        sqlite_where=text("refresh_due_ms IS NOT NULL"),
        postgresql_where=text("refresh_due_ms IS NOT NULL"),
    ),
    Index(
        "ix_contacts_merged_into",
        "website_id",
        "merged_into",
        sqlite_where=text("merged_into IS NOT NULL"),
        postgresql_where=text("merged_into IS NOT NULL"),
    ),
    CheckConstraint("source IN ('crisp', 'csv', 'api', 'manual')", name="source"),
    told=Told("contact", ("id",), _UNSEEN),
)

contact_emails = website_table(
    "contact_emails",
    Column("contact_id", Text, nullable=False),
    Column("email_norm", Text, nullable=False),
    Column("is_primary", Flag, nullable=False),
    Column("source", Text, nullable=False),
    PrimaryKeyConstraint("website_id", "email_norm", "contact_id"),
    ForeignKeyConstraint(
        ["website_id", "contact_id"], ["contacts.website_id", "contacts.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "contact_id"),
    told=Told("contact", ("contact_id",)),
)

# What custom attributes hold (SPEC I3). One that Crisp sends needs no row here.
custom_attributes = website_table(
    "custom_attributes",
    Column("key", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("choices", Json, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "key"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    CheckConstraint(
        "type IN ('text', 'integer', 'decimal', 'date', 'yes_no', 'choice', 'multi_choice')",
        name="type",
    ),
)

# Who was erased (SPEC P6): a keyed hash of each people id, session id and address, nothing else.
erased_identities = website_table(
    "erased_identities",
    Column("digest", Text, nullable=False),
    Column("erased_at", UtcDateTime, nullable=False),
    # When raw hooks, uploads and the database's own left-overs had been looked through for it.
    Column("swept_at", UtcDateTime),
    Column("request_id", Text),
    PrimaryKeyConstraint("website_id", "digest"),
    Index(
        "ix_erased_identities_unswept",
        "website_id",
        sqlite_where=text("swept_at IS NULL"),
        postgresql_where=text("swept_at IS NULL"),
    ),
)
