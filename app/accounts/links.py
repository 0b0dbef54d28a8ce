"""Links that set a password, once: an invitation (a week) or a reset (a day). Only their hash is kept."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.audit import audit
from app.accounts.sessions import end_sessions_of_user, hash_token, new_token
from app.accounts.tables import password_links, users
from app.accounts.users import actor_for
from app.db.base import StoredRow

INVITATION = timedelta(days=7)
RESET = timedelta(days=1)

_l = password_links.c


async def make_link(connection: AsyncConnection, user_id: str, lasts: timedelta) -> str:
    """The word for its address, told here and never again. Earlier links of this user end."""
    now = clock.now()
    await connection.execute(
        delete(password_links).where((_l.user_id == user_id) | (_l.expires_at <= now))
    )
    token = new_token()
    await connection.execute(
        insert(password_links).values(
            token_hash=hash_token(token), user_id=user_id, created_at=now, expires_at=now + lasts
        )
    )
    return token


async def user_of_link(connection: AsyncConnection, token: str) -> StoredRow | None:
    """None for one that was used, replaced, has expired, or whose user was disabled."""
    if len(token) > 100 or not token.isascii():
        return None
    query = (
        select(users)
        .join(password_links, _l.user_id == users.c.id)
        .where(
            _l.token_hash == hash_token(token),
            _l.expires_at > clock.now(),
            users.c.disabled_at.is_(None),
        )
    )
    return (await connection.execute(query)).one_or_none()


async def use_link(connection: AsyncConnection, token: str, password_hash: str) -> StoredRow | None:
    """Set the password of the link's user, who is returned; None when the link is no good (any more)."""
    user = await user_of_link(connection, token)
    if user is None:
        return None
    used = await connection.execute(
        delete(password_links).where(_l.token_hash == hash_token(token))
    )
    if used.rowcount != 1:  # two at the same moment: the other one had it
        return None
    await set_password(connection, user.id, password_hash)
    await audit(connection, actor_for(user), "password.set", subject=("user", user.id))
    return user


async def set_password(connection: AsyncConnection, user_id: str, password_hash: str) -> None:
    """All sessions and links of this user end with it (FAILURES case 95)."""
    await end_sessions_of_user(connection, user_id)
    await connection.execute(delete(password_links).where(_l.user_id == user_id))
    await connection.execute(
        update(users)
        .where(users.c.id == user_id)
        .values(password_hash=password_hash, password_set_at=clock.now())
    )
