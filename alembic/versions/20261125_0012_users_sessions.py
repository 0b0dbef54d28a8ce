"""Users, the websites granted to them, their sessions, and the limits against guessing passwords."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.db import base

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "users",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("password_set_at", base.UtcDateTime(), nullable=True),
        sa.Column("last_login_at", base.UtcDateTime(), nullable=True),
        sa.Column("disabled_at", base.UtcDateTime(), nullable=True),
        sa.CheckConstraint("role IN ('viewer', 'member', 'admin')", name=op.f("ck_users_role")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("email", name=op.f("uq_users_email")),
        sqlite_strict=True,
    )
    _create_grants()
    _create_sessions()
    _create_limits()


def _create_grants() -> None:
    op.create_table(
        "website_grants",
        sa.Column("website_id", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["website_id"],
            ["websites.id"],
            name=op.f("fk_website_grants_website_id_websites"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("website_id", "user_id", name=op.f("pk_website_grants")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_website_grants_user_id"), "website_grants", ["user_id"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id_hash", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column("website_id", sa.Text(), nullable=True),
        sa.Column("created_at", base.UtcDateTime(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.CheckConstraint(
            "(kind = 'login' AND user_id IS NOT NULL AND website_id IS NULL) OR "
            "(kind = 'frame' AND user_id IS NULL AND website_id IS NOT NULL)",
            name=op.f("ck_sessions_kind"),
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_sessions_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id_hash", name=op.f("pk_sessions")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_sessions_user_id"), "sessions", ["user_id"])
    op.create_index(op.f("ix_sessions_created_at"), "sessions", ["created_at"])


def _create_limits() -> None:
    op.create_table(
        "login_tries",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("until", base.UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_login_tries")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_login_tries_until"), "login_tries", ["until"])
    op.create_table(
        "known_browsers",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("browser_hash", sa.Text(), nullable=False),
        sa.Column("seen_at", base.UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"],
            ["users.id"],
            name=op.f("fk_known_browsers_user_id_users"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("user_id", "browser_hash", name=op.f("pk_known_browsers")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_known_browsers_seen_at"), "known_browsers", ["seen_at"])


def downgrade() -> None:
    for table in ("known_browsers", "login_tries", "sessions", "website_grants", "users"):
        op.drop_table(table)
