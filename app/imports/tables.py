"""One row for each uploaded file."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKeyConstraint, PrimaryKeyConstraint, Text

from app.db.base import Json, UtcDateTime, website_table

imports = website_table(
    "imports",
    Column("id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("counts", Json, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("finished_at", UtcDateTime),
    PrimaryKeyConstraint("website_id", "id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"]),
    CheckConstraint(
        "mode IN ('merge', 'overwrite', 'fill-empty', 'create-only', 'update-only')", name="mode"
    ),
)
