"""Does Redis do what it is for? (FAILURES case 85)"""

from __future__ import annotations

from app.doctor.findings import Finding
from app.jobs import look_at_redis
from app.settings import Settings

_REFUSALS = {
    "OutOfMemoryError": "its memory is used up (maxmemory, with the policy noeviction)",
    "ReadOnlyError": "it is a replica, which only reads",
}


async def look_at_bell(settings: Settings) -> list[Finding]:
    """Nothing without REDIS_URL: then no bell is needed."""
    if settings.redis_url is None:
        return []
    seen = await look_at_redis(settings.redis_url)
    found = []
    if seen.away is not None:
        found.append(Finding("redis_away", f"It was asked just now ({seen.away})."))
    if seen.refuses is not None:
        why = _REFUSALS.get(seen.refuses, seen.refuses)
        found.append(Finding("redis_refuses", f"A write was refused: {why}."))
    if seen.may_evict is not None:
        found.append(Finding("redis_evicts", f"Its maxmemory-policy is {seen.may_evict}."))
    return found
