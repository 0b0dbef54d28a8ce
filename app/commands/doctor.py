"""`crispsync doctor`: what is wrong, how one knows, what to do. Asks Crisp, a request a website."""

from __future__ import annotations

from dataclasses import asdict

import click

from app.commands.database import run_loop
from app.commands.output import as_document
from app.db.session import open_database
from app.doctor.findings import Finding
from app.doctor.look import examine
from app.logs import configure_logs
from app.settings import get_settings

WRONG = 1


def examine_all(*, as_json: bool) -> int:
    """The exit code: 1 when something is broken. Raises DatabaseAway; migrates nothing."""
    settings = get_settings()
    configure_logs()

    async def run() -> list[Finding]:
        db = open_database(settings.database_url)
        try:
            return await examine(db, settings, live=True)
        finally:
            await db.close()

    found = run_loop(run)
    click.echo(as_document([_plain(one) for one in found]) if as_json else _in_words(found))
    return WRONG if any(one.is_fault for one in found) else 0


def _plain(one: Finding) -> dict[str, object]:
    return {**asdict(one), "sentence": one.sentence, "remedy": one.remedy, "fault": one.is_fault}


def _in_words(found: list[Finding]) -> str:
    if not found:
        return "Nothing is wrong."
    return "\n\n".join(
        f"{one.sentence}\n  seen: {one.evidence}\n  do: {one.remedy}"
        for one in sorted(found, key=lambda one: not one.is_fault)
    )
