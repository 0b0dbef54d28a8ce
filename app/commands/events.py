"""`crispsync events list` and `crispsync events replay`."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.commands.output import as_document, as_table
from app.commands.syncs import parse_day
from app.db.base import StoredRow
from app.db.session import Database
from app.errors import NotFound, Refused
from app.settings import Settings
from app.webhooks.letters import Filter, State, get_event, list_events
from app.webhooks.redact import Redacted, redact
from app.webhooks.replay import Replayed, replay_matching, replay_one
from app.websites.connect import require_website_id

_PAGE = 500
_COLUMNS = (
    "id", "website_id", "event", "state", "attempts", "deliveries", "error", "received_at",
    "done_at",
)  # fmt: skip
_SHOWN = ("received_at", "state", "event", "website_id", "attempts", "id", "error")


def filter_of(
    state: State | None,
    event: str | None,
    website: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Raises Refused for what is no website id or no date; a last day is included."""
    wanted = Filter(
        states=(state,) if state else (),
        event=_sendable(event) if event else None,
        website_id=require_website_id(website) if website else None,
        since=_parse_moment(since, "--since") if since else None,
        until=_parse_moment(until, "--until", last=True) if until else None,
    )
    if wanted.since and wanted.until and wanted.since >= wanted.until:
        raise Refused(f"--since {since} is after --until {until}.")
    return wanted


def _parse_moment(text: str, option: str, *, last: bool = False) -> datetime:
    """A day, or a time of UTC where it names no zone. Raises Refused."""
    if len(text.strip()) <= len("2026-01-31"):
        return parse_day(text, option) + timedelta(days=last)
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise Refused(
            f"{option} {text[:60]} is no date: write it as 2026-01-31 or 2026-01-31T14:00."
        ) from None
    parse_day(moment.date().isoformat(), option)
    return moment.replace(tzinfo=moment.tzinfo or UTC)


def describe(wanted: Filter, limit: int, *, as_json: bool) -> str:
    async def work(db: Database, _settings: Settings) -> list[dict[str, Any]]:
        async with db.read() as connection:
            return [_plain(row) for row in await _newest(connection, wanted, limit)]

    found = with_database(work)
    if as_json:
        return as_document(found)
    if not found:
        return "No event fits."
    return as_table([{name: event[name] for name in _SHOWN} for event in found])


async def _newest(connection: AsyncConnection, wanted: Filter, limit: int) -> list[StoredRow]:
    rows: list[StoredRow] = []
    place = None
    while len(rows) < limit:
        page = await list_events(connection, wanted, min(_PAGE, limit - len(rows)), place)
        rows += page.rows
        place = page.older
        if place is None:
            break
    return rows


def _plain(row: StoredRow) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _COLUMNS}


def describe_one(event_id: str, *, as_json: bool) -> str:
    """With what may be seen of its body. Raises NotFound."""

    async def work(db: Database, _settings: Settings) -> StoredRow:
        async with db.read() as connection:
            return _require(event_id, await get_event(connection, _tidy(event_id)))

    row = with_database(work)
    body = None if row.body is None else _body(redact(row.body))
    if as_json:
        return as_document(_plain(row) | {"body": body})
    lines = [f"{name}: {value}" for name, value in _plain(row).items() if value is not None]
    return "\n".join([*lines, as_document(body) if body else "Its body is no longer kept."])


def _body(told: Redacted) -> Any:
    if told.head is not None:
        return {"unreadable": True, "size": told.size, "begins": told.head}
    return told.shown


def replay(event_id: str | None, wanted: Filter, *, as_json: bool) -> str:
    """Raises Refused when nothing is named or nothing is left of it, NotFound."""
    if event_id is not None:
        if replace(wanted, website_id=None) != Filter():
            raise Refused("--id names one event: leave out --state, --event, --since and --until.")
        done = _replay_one(event_id, wanted.website_id)
    elif wanted.states or wanted.since or wanted.until:
        done = with_database(lambda db, _settings: replay_matching(db, wanted, COMMAND))
    else:
        raise Refused("Say what to replay: --id ID, --state S, or --since and --until.")
    if as_json:
        return as_document({"replayed": done.put_back, "without_body": done.without_body})
    return in_words(done)


def _replay_one(event_id: str, website_id: str | None) -> Replayed:
    async def work(db: Database, _settings: Settings) -> Replayed:
        async with db.read() as connection:
            row = _require(event_id, await get_event(connection, _tidy(event_id), website_id))
        done = await replay_one(db, row.id, website_id, COMMAND)
        if done.without_body:
            raise Refused(f"Event {row.id} cannot be replayed: its body is no longer kept.")
        return done

    return with_database(work)


def _require(event_id: str, row: StoredRow | None) -> StoredRow:
    if row is None:
        raise NotFound(f"There is no event {event_id[:80]}: crispsync events list shows them.")
    return row


def _tidy(event_id: str) -> str:
    return _sendable(event_id.strip().lower())


def _sendable(text: str) -> str:
    """Bytes that are no UTF-8 come from the shell as halves of surrogate pairs, which no driver sends."""
    return text.encode(errors="replace").decode()


def in_words(done: Replayed) -> str:
    parts = [
        f"{done.put_back:,} put back to be applied again."
        if done.put_back
        else "Nothing was put back; what waits already is left alone."
    ]
    if done.without_body:
        parts.append(f"{done.without_body:,} left as they are: their bodies are no longer kept.")
    return " ".join(parts)
