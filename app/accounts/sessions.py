"""Sessions on the server: whoever holds the random id in a cookie is who the row says (FAILURES case 95).

`login` sessions belong to a user, `frame` sessions to one website (Crisp's settings page, SPEC C5).
A row that is deleted ends its session at once, wherever its cookie is.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import and_, delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.tables import sessions, users, website_grants
from app.db.base import StoredRow

Kind = Literal["login", "frame"]

IDLE = timedelta(hours=8)
ABSOLUTE = timedelta(days=7)
FRAME = timedelta(hours=1)
SEEN_EVERY = timedelta(minutes=5)
"""How often the time of the last request is written down: not with each request."""

_s = sessions.c


@dataclass(frozen=True, slots=True)
class Session:
    """Who asks, and the word that the forms made for this session carry."""

    id_hash: str
    kind: Kind
    actor: Actor
    form_token: str
    seen_at: datetime

    @property
    def due(self) -> bool:
        """Whether it is time to write down that it is in use."""
        return clock.now() - self.seen_at >= SEEN_EVERY


def new_token() -> str:
    """256 random bits, as text for a cookie or an address."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> str:
    """What is stored of it. It has 256 random bits: there is nothing to guess, so nothing to slow down."""
    return hashlib.sha256(token.encode()).hexdigest()


def form_token_of(token: str) -> str:
    """Whoever sees a page's form does not learn the session's id from it."""
    return hmac.new(token.encode(), b"form", hashlib.sha256).hexdigest()


async def open_session(connection: AsyncConnection, user_id: str) -> str:
    """A new login session; the id for its cookie, which is handed out here and never again."""
    return await _open(connection, "login", user_id=user_id)


async def open_frame_session(connection: AsyncConnection, website_id: str) -> str:
    """A session of an hour for one website's settings page in Crisp's frame; the id for its cookie."""
    return await _open(connection, "frame", website_id=website_id)


async def _open(connection: AsyncConnection, kind: Kind, **of: str) -> str:
    await connection.execute(delete(sessions).where(_is_over(clock.now())))
    token, now = new_token(), clock.now()
    await connection.execute(
        insert(sessions).values(
            id_hash=hash_token(token), kind=kind, created_at=now, seen_at=now, **of
        )
    )
    return token


async def find_session(connection: AsyncConnection, token: str, kind: Kind) -> Session | None:
    """None for one that never was, is over, was ended, or whose user was disabled."""
    if not token or len(token) > 100 or not token.isascii():
        return None
    query = (
        select(sessions, users.c.email, users.c.name, users.c.role)
        .join_from(sessions, users, _s.user_id == users.c.id, isouter=True)
        .where(
            _s.id_hash == hash_token(token),
            _s.kind == kind,
            ~_is_over(clock.now()),
            users.c.disabled_at.is_(None),
        )
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    actor = await _user(connection, row) if kind == "login" else _frame(row)
    return Session(row.id_hash, kind, actor, form_token_of(token), row.seen_at)


def _is_over(now: datetime) -> Any:
    return or_(
        and_(_s.kind == "login", or_(_s.seen_at <= now - IDLE, _s.created_at <= now - ABSOLUTE)),
        and_(_s.kind == "frame", _s.created_at <= now - FRAME),
    )


async def _user(connection: AsyncConnection, row: StoredRow) -> Actor:
    role = Role[row.role.upper()]
    seen = None if role is Role.ADMIN else await granted_to(connection, row.user_id)
    return Actor("user", row.user_id, row.name or row.email, role, seen)


async def granted_to(connection: AsyncConnection, user_id: str) -> frozenset[str]:
    """Ids of the websites that were granted to this user."""
    query = select(website_grants.c.website_id).where(website_grants.c.user_id == user_id)
    return frozenset((await connection.execute(query)).scalars())


def _frame(row: StoredRow) -> Actor:
    only = frozenset({str(row.website_id)})
    return Actor("frame", row.website_id, "settings page in Crisp", Role.ADMIN, only)


async def touch_session(connection: AsyncConnection, id_hash: str) -> None:
    """It is in use: the idle time begins anew."""
    await connection.execute(
        update(sessions).where(_s.id_hash == id_hash).values(seen_at=clock.now())
    )


async def end_session(connection: AsyncConnection, id_hash: str) -> None:
    await connection.execute(delete(sessions).where(_s.id_hash == id_hash))


async def end_sessions_of_user(connection: AsyncConnection, user_id: str) -> None:
    """On a new password, disabling and removal."""
    await connection.execute(delete(sessions).where(_s.user_id == user_id))


async def end_frame_sessions(connection: AsyncConnection, website_id: str) -> None:
    """On uninstalling and disconnecting."""
    await connection.execute(delete(sessions).where(_s.website_id == website_id))
