"""Uploaded files, what each of their rows will do or did, the companies they made, saved mappings."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    text,
)

from app.db.base import BigInt, Flag, Json, StoredRow, UtcDateTime, website_table

KINDS = ("contacts", "companies")
"""What the rows of a file are."""
STATES = (
    "uploaded",
    "planning",
    "planned",
    "committing",
    "done",
    "undoing",
    "undone",
    "failed",
    "cancelled",
)

imports = website_table(
    "imports",
    Column("id", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="contacts"),
    Column("state", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("counts", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    Column("created_by", Text, nullable=False),
    # The request that asked for the step it is at, as in the logs and the audit log.
    Column("request_id", Text),
    # What the person's own file is called, and under which random name it is kept here.
    Column("file_name", Text, nullable=False),
    Column("file_size", BigInt, nullable=False),
    Column("file", Text),
    Column("layout", Json, nullable=False),
    Column("columns", Json, nullable=False),
    Column("options", Json, nullable=False),
    # The import whose bad rows this file repairs.
    Column("repairs", Text),
    # Whoever commits must have seen this plan, and before it is too old.
    Column("plan_hash", Text),
    Column("planned_at", UtcDateTime),
    Column("expires_at", UtcDateTime),
    Column("started_at", UtcDateTime),
    Column("error", Text),
    Column("checkpoint", Json, nullable=False),
    Column("lease_owner", Text),
    Column("lease_epoch", Integer, nullable=False),
    Column("lease_until_ms", BigInt, nullable=False),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    Index(None, "website_id", "created_at", "id"),
    CheckConstraint(
        "mode IN ('merge', 'overwrite', 'fill-empty', 'create-only', 'update-only')", name="mode"
    ),
    CheckConstraint(f"state IN {STATES}", name="state"),
    CheckConstraint(f"kind IN {KINDS}", name="kind"),
)

OUTCOMES = ("create", "update", "unchanged", "skip", "error")
ROW_STATES = ("planned", "applied", "refused", "repaired", "undone", "kept")

import_rows = website_table(
    "import_rows",
    Column("import_id", Text, nullable=False),
    Column("line", BigInt, nullable=False),
    # What the plan says, and what became of it: `kept` is a row whose undo left something standing.
    Column("outcome", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("email_norm", Text),
    Column("contact_id", Text),
    # Of a file of companies: the company, and how a later row would name the same one.
    Column("company_id", Text),
    Column("company_key", Text),
    Column("changes", Json),
    Column("problems", Json),
    Column("cells", Json),
    # The contact or company as it was when the plan was made; whatever differs then, refuses the row.
    Column("basis", Text),
    # In a file of bad rows that was repaired: the line of the first file.
    Column("origin", BigInt),
    PrimaryKeyConstraint("website_id", "import_id", "line"),
    ForeignKeyConstraint(
        ["website_id", "import_id"], ["imports.website_id", "imports.id"], ondelete="CASCADE"
    ),
    Index(None, "website_id", "import_id", "email_norm"),
    # Without `state`, so that a commit writes no index; PostgreSQL keeps half of each page free for that.
    Index(None, "website_id", "import_id", "outcome", "line"),
    Index(
        "ix_import_rows_contact",
        "website_id",
        "contact_id",
        "import_id",
        sqlite_where=text("contact_id IS NOT NULL"),
        postgresql_where=text("contact_id IS NOT NULL"),
    ),
    Index(
        "ix_import_rows_company",
        "website_id",
        "import_id",
        "company_key",
        sqlite_where=text("company_key IS NOT NULL"),
        postgresql_where=text("company_key IS NOT NULL"),
    ),
    CheckConstraint(f"outcome IN {OUTCOMES}", name="outcome"),
    CheckConstraint(f"state IN {ROW_STATES}", name="state"),
)


def made_contact(row: StoredRow) -> str | None:
    """The contact that a row is about. The plan says which id a new one will have; until then it is nobody's."""
    return row.contact_id if _is_there(row) else None


def made_company(row: StoredRow) -> str | None:
    """The company that a row of a file of companies is about, as `made_contact`."""
    return row.company_id if _is_there(row) else None


def _is_there(row: StoredRow) -> bool:
    return row.outcome != "create" or row.state in {"applied", "kept"}


# What an import did to companies, so that it can be taken back.
import_companies = website_table(
    "import_companies",
    Column("import_id", Text, nullable=False),
    Column("company_id", Text, nullable=False),
    Column("made", Flag, nullable=False),
    Column("before", Json),
    Column("after", Json, nullable=False),
    Column("aliases", Json, nullable=False),
    PrimaryKeyConstraint("website_id", "import_id", "company_id"),
    ForeignKeyConstraint(
        ["website_id", "import_id"], ["imports.website_id", "imports.id"], ondelete="CASCADE"
    ),
)

import_mappings = website_table(
    "import_mappings",
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False, server_default="contacts"),
    Column("columns", Json, nullable=False),
    Column("options", Json, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("website_id", "name"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    CheckConstraint(f"kind IN {KINDS}", name="kind"),
)
