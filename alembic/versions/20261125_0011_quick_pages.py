"""Indexes for what the lists sort and count by; segments among the words of a conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base
from app.normal import fold_for_search

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_UNMATCHED = ["website_id", "unmatched_reason", "crisp_updated_at"]
# At most 200 characters: an entry of a B-tree holds 2,704 bytes (FAILURES case 58).
_BY_NAME = {
    "sqlite": "substr(search, 1, 200)",
    "postgresql": '(substr(search, 1, 200)) COLLATE "C"',
}


def upgrade() -> None:
    for column in ("crisp_created_at", "message_count"):
        op.create_index(
            op.f(f"ix_conversations_website_id_{column}_id"),
            "conversations",
            ["website_id", column, "id"],
        )
    op.create_index("ix_contacts_figures", "contacts", ["website_id", "source", "deleted_at", "id"])
    _make_unmatched([*_UNMATCHED, "deleted_at", "email_norm"])
    by_name = _BY_NAME[op.get_bind().dialect.name]
    op.execute(f"CREATE INDEX ix_contacts_name_words ON contacts (website_id, {by_name}, id)")
    _add_segments()


def _make_unmatched(columns: list[str]) -> None:
    op.drop_index("ix_conversations_unmatched", table_name="conversations")
    op.create_index(
        "ix_conversations_unmatched",
        "conversations",
        columns,
        sqlite_where=sa.text("unmatched_reason IS NOT NULL"),
        postgresql_where=sa.text("unmatched_reason IS NOT NULL"),
    )


def _add_segments() -> None:
    connection = op.get_bind()
    c = sa.table(
        "conversations",
        *(sa.column(n, sa.Text()) for n in ("website_id", "id", "subject", "nickname", "email")),
        sa.column("metadata", base.Json()),
        sa.column("search", sa.Text()),
    ).c
    found = connection.execute(
        sa.select(c.website_id, c.id, c.subject, c.nickname, c.email, c.metadata).where(
            sa.cast(sa.literal_column("metadata"), sa.Text()).like('%"segments"%')
        )
    ).all()
    changed = [
        {
            "site": r.website_id,
            "own": r.id,
            "now": fold_for_search(*told, r.subject, r.nickname, r.email),
        }
        for r in found
        if (told := [s for s in r.metadata.get("segments") or () if isinstance(s, str)])
    ]
    if changed:
        connection.execute(
            sa.text(
                "UPDATE conversations SET search = :now WHERE website_id = :site AND id = :own"
            ),
            changed,
        )


def downgrade() -> None:
    op.execute("DROP INDEX ix_contacts_name_words")
    op.drop_index("ix_contacts_figures", table_name="contacts")
    _make_unmatched(_UNMATCHED)
    for column in ("crisp_created_at", "message_count"):
        op.drop_index(op.f(f"ix_conversations_website_id_{column}_id"), table_name="conversations")
