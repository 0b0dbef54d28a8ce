"""Who did what, and who may. Users, sessions and tokens belong to the whole deployment, not to one website."""

from __future__ import annotations

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    Text,
    UniqueConstraint,
)

from app.db.base import Flag, Json, UtcDateTime, plain_table, website_table

audit_log = plain_table(
    "audit_log",
    Column("id", Text, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("website_id", Text),
    Column("actor_kind", Text, nullable=False),
    Column("actor_id", Text, nullable=False),
    Column("actor_name", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject_kind", Text),
    Column("subject_id", Text),
    Column("before", Json),
    Column("after", Json),
    # The web request or job in which it happened, as in the logs.
    Column("request_id", Text),
    PrimaryKeyConstraint("id"),
    Index(None, "website_id", "at", "id"),
    Index(None, "at", "id"),
    Index(None, "subject_kind", "subject_id"),
)

users = plain_table(
    "users",
    Column("id", Text, nullable=False),
    # In the normal form of app/records.py: normal_address.
    Column("email", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    # argon2id; none until the invitation was taken up.
    Column("password_hash", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("password_set_at", UtcDateTime),
    Column("last_login_at", UtcDateTime),
    Column("disabled_at", UtcDateTime),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("email"),
    CheckConstraint("role IN ('viewer', 'member', 'admin')", name="role"),
)

# Which websites a user sees; an admin sees all of them without a row here.
website_grants = website_table(
    "website_grants",
    Column("user_id", Text, nullable=False),
    PrimaryKeyConstraint("website_id", "user_id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"], ondelete="CASCADE"),
    Index(None, "user_id"),
)

# Only a hash of each id is kept: who reads the table cannot take over a session.
sessions = plain_table(
    "sessions",
    Column("id_hash", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_id", Text),
    # Of a frame session: the one website that it may touch.
    Column("website_id", Text),
    Column("created_at", UtcDateTime, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("id_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index(None, "user_id"),
    Index(None, "created_at"),
    CheckConstraint(
        "(kind = 'login' AND user_id IS NOT NULL AND website_id IS NULL) OR "
        "(kind = 'frame' AND user_id IS NULL AND website_id IS NOT NULL)",
        name="kind",
    ),
)

# Tries at passwords, by a hash of the account, of the address they came from, or of a browser.
login_tries = plain_table(
    "login_tries",
    Column("key", Text, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("until", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("key"),
    Index(None, "until"),
)

# Browsers in which an account was logged in before: what strangers try does not count against them.
known_browsers = plain_table(
    "known_browsers",
    Column("user_id", Text, nullable=False),
    Column("browser_hash", Text, nullable=False),
    Column("seen_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("user_id", "browser_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index(None, "seen_at"),
)

# Links that set a password once: an invitation, or a reset. Used ones are deleted.
password_links = plain_table(
    "password_links",
    Column("token_hash", Text, nullable=False),
    Column("user_id", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
    PrimaryKeyConstraint("token_hash"),
    ForeignKeyConstraint(["user_id"], ["users.id"], ondelete="CASCADE"),
    Index(None, "user_id"),
    Index(None, "expires_at"),
)

api_tokens = plain_table(
    "api_tokens",
    Column("id", Text, nullable=False),
    Column("name", Text, nullable=False),
    # The first letters, to recognise it by; the whole is shown once and kept nowhere.
    Column("prefix", Text, nullable=False),
    Column("token_hash", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("every_website", Flag, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
    Column("last_used_at", UtcDateTime),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("token_hash"),
    CheckConstraint("scope IN ('read', 'write', 'admin')", name="scope"),
)

# Which websites a token sees, when not every one.
token_grants = website_table(
    "token_grants",
    Column("token_id", Text, nullable=False),
    PrimaryKeyConstraint("website_id", "token_id"),
    ForeignKeyConstraint(["website_id"], ["websites.id"], ondelete="CASCADE"),
    Index(None, "token_id"),
)
