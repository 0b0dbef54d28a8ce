"""Logging in and out, and the first user."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts import limits, sessions
from app.accounts.actors import SYSTEM, Role
from app.accounts.audit import audit
from app.accounts.passwords import LONGEST, hash_password, password_fits
from app.accounts.tables import users
from app.accounts.users import actor_for, add_user, count_users, find_user
from app.db.base import StoredRow
from app.db.session import Database
from app.db.upsert import lock_key
from app.errors import CrispsyncError, Refused
from app.normal import normal_address

FIRST_EMAIL = "admin@localhost"
log = structlog.get_logger(__name__)


class WrongLogin(CrispsyncError):
    """One sentence for a wrong password, an unknown address, and an account that is disabled."""

    http_status = 401


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """What the browser is to keep: the session's id, and the word by which it is known next time."""

    session: str
    browser: str


async def log_in(
    db: Database, email: str, password: str, address: str, browser: str | None
) -> LoggedIn:
    """`address` is the caller's, `browser` what an earlier `LoggedIn` gave it.

    Raises WrongLogin, TooManyTries, TooBusy.
    """
    typed = normal_address(email) or email.strip().lower()[:300]
    spent: list[limits.Limit] = []

    async def look(connection: AsyncConnection) -> StoredRow | None:
        row = await find_user(connection, typed)
        known = row and await limits.is_known_browser(connection, row.id, browser)
        spent[:] = limits.limits_for(
            typed, address, row.id if row else None, browser if known else None
        )
        await limits.spend_try(connection, spent)
        return row

    row = await db.transact(look)
    stored = row.password_hash if row is not None and row.disabled_at is None else None
    if not await password_fits(stored, password if len(password) <= LONGEST else "") or row is None:
        log.info("login.refused")
        raise WrongLogin("That address and password do not belong together.")
    return await db.transact(partial(_open, row=row, browser=browser, spent=spent))


async def _open(
    connection: AsyncConnection,
    row: StoredRow,
    browser: str | None,
    spent: list[limits.Limit],
) -> LoggedIn:
    # It may have been disabled, or its password changed, while this one was compared.
    current = await find_user(connection, row.email)
    if (
        current is None
        or current.disabled_at is not None
        or current.password_hash != row.password_hash
    ):
        raise WrongLogin("That address and password do not belong together.")
    await limits.give_try_back(connection, spent)
    return await admit(connection, current, browser)


async def admit(connection: AsyncConnection, user: StoredRow, browser: str | None) -> LoggedIn:
    """A new session for somebody who has proved who it is."""
    known = await limits.is_known_browser(connection, user.id, browser)
    word = browser if browser and known else sessions.new_token()
    await limits.remember_browser(connection, user.id, word)
    token = await sessions.open_session(connection, user.id)
    await connection.execute(
        update(users).where(users.c.id == user.id).values(last_login_at=clock.now())
    )
    await audit(connection, actor_for(user), "session.opened", subject=("user", user.id))
    return LoggedIn(token, word)


async def log_out(db: Database, session: sessions.Session) -> None:
    async def work(connection: AsyncConnection) -> None:
        await sessions.end_session(connection, session.id_hash)
        await audit(connection, session.actor, "session.closed", subject=("user", session.actor.id))

    await db.transact(work)


async def make_first_user(db: Database, email: str | None, password: str | None) -> str | None:
    """The first admin when there is no user at all; its password if that was invented here.

    Raises Refused.
    """
    typed = normal_address(email or FIRST_EMAIL)
    if typed is None:
        raise Refused("ADMIN_EMAIL is no e-mail address: write it like ann@acme.example.")
    if password is not None and not 0 < len(password) <= LONGEST:
        raise Refused(f"ADMIN_PASSWORD has more than {LONGEST} characters.")
    invented = secrets.token_urlsafe(12) if password is None else None
    hashed = await hash_password(password or invented or "")

    async def work(connection: AsyncConnection) -> bool:
        await lock_key(connection, "first user")
        if await count_users(connection):
            return False
        await add_user(connection, SYSTEM, typed, "", Role.ADMIN, hashed)
        return True

    return invented if await db.transact(work) else None
