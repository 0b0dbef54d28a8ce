"""What a person chooses for a website (SPEC C6); off means off from now on, what is stored stays."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.accounts.actors import Actor, Role
from app.accounts.audit import audit
from app.db.base import StoredRow
from app.errors import NotFound, Refused
from app.websites.business_hours import read_hours
from app.websites.rules import lock_website, require_website
from app.websites.tables import websites

FLAGS = ("import_people", "import_conversations", "import_notes", "import_custom_data")
DEPTHS = ("everything", "days", "date")
TEXTS = ("always", "days")
MOST_DAYS = 20_000


def read_preferences(typed: Mapping[str, str]) -> dict[str, Any]:
    """Columns of `websites` by what a form holds: a flag is there or not. Raises Refused, one reason."""
    zone = typed.get("time_zone", "").strip() or "UTC"
    if zone not in available_timezones():
        raise Refused(f"“{zone[:60]}” is no time zone: write it like Europe/Berlin, or UTC.")
    values: dict[str, Any] = {flag: bool(typed.get(flag)) for flag in FLAGS}
    values |= {"time_zone": zone, "import_since": _since(typed, zone)}
    return values | _text_days(typed) | _business_hours(typed, zone)


def _business_hours(typed: Mapping[str, str], zone: str) -> dict[str, str | None]:
    """Empty: those of the installation. Nothing when the form does not ask."""
    if "business_hours" not in typed:
        return {}
    written = typed["business_hours"].strip()
    if not written:
        return {"business_hours": None}
    return {"business_hours": read_hours(written, zone, "Business hours").written}


def _text_days(typed: Mapping[str, str]) -> dict[str, int | None]:
    """Nothing when the form does not ask: what was dropped does not come back, so silence changes nothing."""
    if "texts" not in typed:
        return {}
    if typed["texts"] not in TEXTS:
        raise Refused("The text of messages is kept for ever, or for a number of days.")
    days = _days(typed, "text_days") if typed["texts"] == "days" else None
    return {"message_days": days}


def _days(typed: Mapping[str, str], name: str) -> int:
    days = typed.get(name, "").strip()
    if not (days.isascii() and days.isdecimal()) or not 1 <= int(days[:9]) <= MOST_DAYS:
        raise Refused(f"The number of days is a whole number from 1 to {MOST_DAYS:,}.")
    return int(days)


def _since(typed: Mapping[str, str], zone: str) -> datetime | None:
    depth = typed.get("depth", "everything")
    if depth not in DEPTHS:
        raise Refused("The first import reaches back to everything, a number of days, or a date.")
    if depth == "everything":
        return None
    if depth == "days":
        today = clock.now().astimezone(ZoneInfo(zone)).date()
        return _midnight(today - timedelta(_days(typed, "days")), zone)
    try:
        day = date.fromisoformat(typed.get("since", "").strip())
    except ValueError:
        raise Refused("The date is written like 2026-01-31.") from None
    if not 1990 <= day.year <= 2099 or day > clock.now().date():
        raise Refused("The date lies between 1990 and today.")
    return _midnight(day, zone)


def _midnight(day: date, zone: str) -> datetime:
    return datetime.combine(day, time(), ZoneInfo(zone)).astimezone(UTC)


async def change_preferences(
    connection: AsyncConnection, actor: Actor, website_id: str, values: Mapping[str, Any]
) -> None:
    """Raises Forbidden, NotFound."""
    await require_configurable(connection, actor, website_id)
    website = await require_website(connection, website_id)
    changed = {name: value for name, value in values.items() if getattr(website, name) != value}
    if not changed:
        return
    await connection.execute(update(websites).where(websites.c.id == website_id).values(**changed))
    await audit(
        connection,
        actor,
        "settings.changed",
        website_id=website_id,
        subject=("website", website_id),
        before={name: _told(getattr(website, name)) for name in changed},
        after={name: _told(value) for name, value in changed.items()},
    )


async def require_configurable(
    connection: AsyncConnection, actor: Actor, website_id: str
) -> StoredRow:
    """The website's row, locked. Raises Forbidden, NotFound."""
    actor.require(Role.ADMIN)
    if not actor.sees(website_id):
        raise NotFound("There is no website of that id here.")
    await lock_website(connection, website_id)
    return await require_website(connection, website_id)


def _told(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
