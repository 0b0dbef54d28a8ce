"""One row for each Crisp website that was ever connected."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Integer, PrimaryKeyConstraint, Text, text

from app.db.base import BigInt, Flag, Json, UtcDateTime, plain_table, website_table

websites = plain_table(
    "websites",
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("domain", Text),
    Column("status", Text, nullable=False),
    Column("connected_at", UtcDateTime, nullable=False),
    # Grows with each installation; work begun under an older one writes nothing (FAILURES case 51).
    Column("generation", Integer, nullable=False),
    Column("attention", Text),
    # When somebody first asked for an import: until then hooks are kept and not applied (SPEC C4).
    Column("activated_at", UtcDateTime),
    # Crisp's time, epoch ms, of the newest hook that told of an installation or its end.
    Column("installation_told_ms", BigInt, nullable=False, server_default=text("0")),
    # When it was found to be uninstalled; counts only while it is (SPEC P8).
    Column("uninstalled_at", UtcDateTime),
    # Settings (SPEC C6)
    Column("import_people", Flag, nullable=False),
    Column("import_conversations", Flag, nullable=False),
    Column("import_notes", Flag, nullable=False),
    Column("import_custom_data", Flag, nullable=False),
    Column("import_since", UtcDateTime),
    # Days after which the text of a message is dropped; none: it is kept (SPEC P8).
    Column("message_days", Integer),
    Column("mapping", Json, nullable=False),
    Column("time_zone", Text, nullable=False),
    # As BUSINESS_HOURS is written; none: as there (SPEC V8).
    Column("business_hours", Text),
    # How far Crisp has been read. Frozen ends of finished windows, epoch ms of Crisp's clock.
    Column("first_imported_at", UtcDateTime),
    Column("conversations_read_to_ms", BigInt),
    Column("people_read_to_ms", BigInt),
    # From when on a first import was not shown everything; read again once a day until it is.
    Column("conversations_hole_ms", BigInt),
    Column("rescanned_on", Text),
    Column("rolling_read", Json),
    Column("people_reread_at", UtcDateTime),
    CheckConstraint(
        "status IN ('waiting', 'connected', 'paused', 'disconnected', 'uninstalled')", name="status"
    ),
)

# What a scheduled pull found and no hook had told.
missed_hooks = website_table(
    "missed_hooks",
    Column("day", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("missed", Integer, nullable=False),
    PrimaryKeyConstraint("website_id", "day", "kind"),
)
