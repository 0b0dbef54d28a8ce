"""Limits against guessing passwords, in the database, shared by all processes (FAILURES case 96).

A try is counted before the password is looked at, so that many at once are no way around. A browser
in which the account was logged in before has a count of its own: what strangers try never locks it
out. A blocked try does not prolong the block, and a link to set a new password passes by all this.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.sessions import hash_token
from app.accounts.tables import known_browsers, login_tries
from app.db.upsert import insert_for, lock_key
from app.errors import CrispsyncError

WINDOW = timedelta(minutes=15)
PER_ACCOUNT = 10
PER_ADDRESS = 50
PER_BROWSER = 10
BROWSER_KEPT = timedelta(days=180)

_t = login_tries.c


class TooManyTries(CrispsyncError):
    """Nothing was looked at; the sentence is the same for accounts that do not exist."""

    http_status = 429
    exit_code = 1


@dataclass(frozen=True, slots=True)
class Limit:
    key: str
    most: int


def limits_for(email: str, address: str, user_id: str | None, browser: str | None) -> list[Limit]:
    """What a try counts against. `browser`: its random word if it is known for this user."""
    if user_id is not None and browser is not None:
        return [Limit(_key("browser", f"{user_id} {browser}"), PER_BROWSER)]
    return [
        Limit(_key("account", email), PER_ACCOUNT),
        Limit(_key("address", network_of(address)), PER_ADDRESS),
    ]


def _key(kind: str, value: str) -> str:
    # Hashed: people type their password into the wrong field.
    return f"{kind}:{hashlib.sha256(value.encode(errors='replace')).hexdigest()}"


def network_of(address: str) -> str:
    """An IPv6 customer has at least a /64 of addresses; they count as one."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        parsed = parsed.ipv4_mapped or parsed
    prefix = 64 if parsed.version == 6 else 32
    return str(ipaddress.ip_network(f"{parsed}/{prefix}", strict=False).network_address)


async def spend_try(connection: AsyncConnection, limits: Sequence[Limit]) -> None:
    """Count one more try. Raises TooManyTries, and counts nothing, when one of them is used up."""
    now = clock.now()
    await connection.execute(delete(login_tries).where(_t.until <= now))
    for limit in sorted(limits, key=lambda one: one.key):
        await lock_key(connection, limit.key)
        row = (
            await connection.execute(select(login_tries).where(_t.key == limit.key))
        ).one_or_none()
        if row is not None and row.tries >= limit.most:
            minutes = max(1, -(-(row.until - now) // timedelta(minutes=1)))
            raise TooManyTries(
                f"Too many tries. Wait {minutes} minute{'s' if minutes > 1 else ''}, or ask an "
                "admin for a link to set a new password."
            )
    for limit in limits:
        added = insert_for(connection, login_tries).values(
            key=limit.key, tries=1, until=now + WINDOW
        )
        await connection.execute(
            added.on_conflict_do_update(index_elements=["key"], set_={"tries": _t.tries + 1})
        )


async def give_try_back(connection: AsyncConnection, limits: Sequence[Limit]) -> None:
    """It was right: who logs in often is no stranger."""
    fewer = case((_t.tries > 0, _t.tries - 1), else_=0)
    await connection.execute(
        update(login_tries).where(_t.key.in_([one.key for one in limits])).values(tries=fewer)
    )


async def is_known_browser(connection: AsyncConnection, user_id: str, browser: str | None) -> bool:
    if not browser or len(browser) > 100:
        return False
    query = select(known_browsers.c.seen_at).where(
        known_browsers.c.user_id == user_id,
        known_browsers.c.browser_hash == hash_token(browser),
        known_browsers.c.seen_at > clock.now() - BROWSER_KEPT,
    )
    return (await connection.execute(query)).one_or_none() is not None


async def remember_browser(connection: AsyncConnection, user_id: str, browser: str) -> None:
    now = clock.now()
    old = known_browsers.c.seen_at <= now - BROWSER_KEPT
    await connection.execute(delete(known_browsers).where(old))
    added = insert_for(connection, known_browsers).values(
        user_id=user_id, browser_hash=hash_token(browser), seen_at=now
    )
    key = ["user_id", "browser_hash"]
    await connection.execute(added.on_conflict_do_update(index_elements=key, set_={"seen_at": now}))
