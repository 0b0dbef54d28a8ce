"""`crispsync sync`, `crispsync backfill` and `crispsync audit`."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import click
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.commands.progress import RunProgress, in_words
from app.db.runner_lock import try_runner_lock
from app.db.session import Database
from app.errors import Refused
from app.settings import Settings
from app.sync.access import opened_client, require_credential
from app.sync.audit import EVERYTHING
from app.sync.drift import PATHS_IN_WORDS, WHAT_IN_WORDS
from app.sync.foreground import EXIT_CODES, wait_for_run
from app.sync.preview import preview_backfill
from app.sync.runs import Kind, Sample, request_run
from app.sync.schedule import scheduled_sample
from app.sync.tables import audit_findings, sync_failures
from app.websites.connect import require_website_id
from app.websites.rules import require_website
from app.websites.tables import websites

# As app/clock.py: what lies outside is a typing error.
FIRST_YEAR, LAST_YEAR = 1990, 2099
LARGEST_SAMPLE = 100_000


def sync(kind: Any, website_id: str | None, *, wait: bool, accept_removals: bool) -> int:
    """The worst exit code over the websites."""
    return _run(kind, website_id, wait=wait, accept_removals=accept_removals)


def backfill(
    from_text: str, to_text: str, website_id: str | None, *, preview: bool, wait: bool
) -> int:
    window_from = parse_day(from_text, "--from")
    last_day = parse_day(to_text, "--to")
    if window_from > last_day:
        raise Refused(f"--from {from_text} is after --to {to_text}.")
    window_to = last_day + timedelta(days=1)
    if preview:
        return _preview(website_id, window_from, window_to)
    return _run("backfill", website_id, wait=wait, window=(window_from, window_to))


def audit(sample: str | None, website_id: str | None, *, wait: bool) -> int:
    """`sample`: a number of conversations, "all", or None for what the schedule would take."""
    if sample is not None and sample != EVERYTHING:
        _require_sample(sample)
    return _run("audit", website_id, wait=wait, sample=sample)


def _require_sample(text: str) -> None:
    """Raises Refused."""
    if not (text.isascii() and text.isdecimal()) or not 1 <= int(text[:9]) <= LARGEST_SAMPLE:
        raise Refused(
            f"--sample {text[:60]} is neither all nor a number of conversations from 1 to "
            f"{LARGEST_SAMPLE:,}."
        )


async def _sample_of(db: Database, settings: Settings, text: str | None) -> Sample:
    if text is None:
        return await scheduled_sample(db, settings)
    return {"sample": text if text == EVERYTHING else int(text)}


def parse_day(text: str, option: str) -> datetime:
    """Midnight UTC. Raises Refused for a day that the calendar does not have."""
    try:
        day = date.fromisoformat(text.strip())
    except ValueError:
        raise Refused(f"{option} {text[:60]} is no date: write it as 2026-01-31.") from None
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise Refused(f"{option} {text[:60]} is not between {FIRST_YEAR} and {LAST_YEAR}.")
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _run(
    kind: Kind,
    website_text: str | None,
    *,
    wait: bool,
    accept_removals: bool = False,
    window: tuple[datetime, datetime] | None = None,
    sample: str | None = None,
) -> int:
    async def work(db: Database, settings: Settings) -> int:
        if wait:
            await _require_means(db, settings)
        code = 0
        asked = await _sample_of(db, settings, sample) if kind == "audit" else None
        for website_id in await _chosen(db, website_text):
            run_id = await request_run(
                db,
                website_id,
                kind,
                started_by="command",
                actor=COMMAND,
                window_from=window[0] if window else None,
                window_to=window[1] if window else None,
                accept_removals=accept_removals,
                sample=asked,
            )
            if not wait:
                click.echo(f"{run_id}  {kind} of {website_id} is queued for a running crispsync.")
                continue
            code = max(code, await _wait(db, settings, kind, website_id, run_id))
        return code

    return with_database(work)


async def _require_means(db: Database, settings: Settings) -> None:
    """Nothing is queued that could not be worked on here. Raises Refused."""
    with try_runner_lock(settings.database_url) as may_work:
        if may_work:
            await require_credential(db, settings)


async def _wait(db: Database, settings: Settings, kind: str, website_id: str, run_id: str) -> int:
    progress = RunProgress(f"{kind} {website_id[:8]}")
    try:
        with try_runner_lock(settings.database_url) as may_work:
            row = await wait_for_run(db, settings, website_id, run_id, progress, may_work=may_work)
    finally:
        progress.close()
    click.echo(
        f"{kind} of {website_id}: {row.state}. {in_words(row.counts)}; {row.requests:,} requests."
    )
    if row.error:
        click.echo(f"crispsync: {row.error}", err=True)
    await _list_findings(db, website_id, run_id)
    await _list_failures(db, website_id, run_id)
    return EXIT_CODES[row.state]


async def _list_findings(db: Database, website_id: str, run_id: str) -> None:
    """What an audit found to differ, a line each; other runs have none."""
    f = audit_findings.c
    async with db.read() as connection:
        rows = await connection.execute(
            select(f.kind, f.external_id, f.what, f.missed_by, f.repaired)
            .where(f.website_id == website_id, f.run_id == run_id)
            .order_by(f.kind, f.external_id)
        )
        for row in rows:
            click.echo(
                f"differed: {row.kind} {row.external_id}: {WHAT_IN_WORDS[row.what]}, missed by "
                f"{PATHS_IN_WORDS[row.missed_by]}, {'' if row.repaired else 'not '}repaired"
            )


async def _list_failures(db: Database, website_id: str, run_id: str) -> None:
    async with db.read() as connection:
        rows = await connection.execute(
            select(sync_failures)
            .where(sync_failures.c.website_id == website_id, sync_failures.c.run_id == run_id)
            .order_by(sync_failures.c.kind, sync_failures.c.external_id)
        )
        for row in rows:
            click.echo(f"failed: {row.kind} {row.external_id}: {row.reason}", err=True)


async def _chosen(db: Database, website_text: str | None) -> list[str]:
    """The website asked for, or all that are connected. Raises Refused, NotFound."""
    async with db.read() as connection:
        if website_text is not None:
            website_id = require_website_id(website_text)
            await require_website(connection, website_id)
            return [website_id]
        found = await _connected(connection)
    if not found:
        raise Refused("No website is connected yet: crispsync connect WEBSITE_ID")
    return found


async def _connected(connection: AsyncConnection) -> list[str]:
    rows = await connection.execute(
        select(websites.c.id).where(websites.c.status == "connected").order_by(websites.c.id)
    )
    return [str(row.id) for row in rows]


def _preview(website_text: str | None, window_from: datetime, window_to: datetime) -> int:
    async def work(db: Database, settings: Settings) -> int:
        async with opened_client(db, settings) as client:
            for website_id in await _chosen(db, website_text):
                found = await preview_backfill(client, website_id, window_from, window_to)
                least = "at least " if found.at_least else ""
                click.echo(
                    f"{website_id}: {least}{found.conversations:,} conversations, about "
                    f"{found.requests:,} requests, {found.days:.1f} days at the day's quota."
                )
        return 0

    return with_database(work)
