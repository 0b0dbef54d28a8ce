"""How much of the day's quota is used, and whether everybody waits (SPEC S6)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app import clock
from app.crisp import quota
from app.crisp.budget import credential_key
from app.db.session import Database
from app.settings import Settings
from app.websites.credential import PluginCredential, read_credential


@dataclass(frozen=True, slots=True)
class QuotaState:
    used: int
    limit: int
    paused_until: datetime | None = None
    reason: str | None = None


async def read_quota(
    db: Database, settings: Settings, credential: PluginCredential | None = None
) -> QuotaState:
    """`credential` is read when the caller has not read it."""
    identifier = (credential or await read_credential(db, settings)).identifier
    if not identifier:
        return QuotaState(0, settings.crisp_daily_quota)
    key = credential_key(identifier)
    async with db.read() as connection:
        used, pause = await quota.used_and_pause(connection, key, clock.now().strftime("%Y-%m-%d"))
    if pause is None or pause[0] <= clock.now_ms():
        return QuotaState(used, settings.crisp_daily_quota)
    return QuotaState(used, settings.crisp_daily_quota, clock.from_ms(pause[0]), pause[1])
