"""`crispsync import` and `crispsync undo`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import orjson
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import COMMAND
from app.commands.database import with_database
from app.commands.import_words import changes_in_words, in_words
from app.commands.output import as_document
from app.commands.progress import LINE_EVERY
from app.db.base import StoredRow
from app.db.runner_lock import try_runner_lock
from app.db.session import Database
from app.errors import NotFound, Refused
from app.imports.asked import require_import
from app.imports.begin import begin_import, change_layout
from app.imports.layout import Layout, layout_of
from app.imports.setup import by_name, columns_of_import, layout_of_import
from app.imports.steps import (
    Choice,
    ask_commit,
    ask_plan,
    ask_undo,
    cancel,
)
from app.imports.tables import import_rows, imports
from app.imports.uploads import store_copy
from app.imports.work import STAGES
from app.imports.worker import ImportWorker
from app.settings import Settings
from app.websites.connect import require_website_id
from app.websites.rules import require_website

LOOK_EVERY = 0.3  # seconds
_SHOWN, _TOLD = 20, 1000


def import_file(
    file: str,
    website_id: str,
    *,
    mapping: str | None,
    mode: str | None,
    segment: str | None,
    kind: str,
    dry_run: bool,
    as_json: bool,
) -> int:
    """The exit code: 3 when rows stayed out."""
    told = read_mapping(mapping)

    async def work(db: Database, settings: Settings) -> int:
        website = require_website_id(website_id)
        async with db.read() as connection:
            await require_website(connection, website)
        stored = store_copy(settings.uploads_folder, Path(file), settings.import_max_mb)
        import_id = await begin_import(db, settings.uploads_folder, website, stored, COMMAND, kind)
        try:
            await _choose(db, settings, website, import_id, told, mode, segment)
            row = await _wait(db, settings, website, import_id)
        except Refused:
            await cancel(db, settings.uploads_folder, website, import_id, COMMAND)
            raise
        if row.state == "planned" and not dry_run:
            await ask_commit(db, website, import_id, row.plan_hash, COMMAND)
            row = await _wait(db, settings, website, import_id)
        await _tell(db, row, dry_run=dry_run, as_json=as_json)
        if dry_run and row.state == "planned":
            await cancel(db, settings.uploads_folder, website, import_id, COMMAND)
        return _exit_code(row)

    return with_database(work)


def read_mapping(file: str | None) -> dict[str, Any]:
    """`{"columns": {"E-Mail": "email", …}, "separator": ";", …}`. Raises Refused."""
    if file is None:
        return {}
    try:
        told = orjson.loads(Path(file).read_bytes())
    except OSError as error:
        raise Refused(f"{file} cannot be read: {error.strerror}.") from None
    except orjson.JSONDecodeError as error:
        raise Refused(f"{file} is no JSON: {error}.") from None
    known = {
        "columns", "encoding", "separator", "header", "mode", "segment", "default_prefix",
        "split_on_space",
    }  # fmt: skip
    if not isinstance(told, dict) or not set(told) <= known:
        raise Refused(f"{file} must be an object with some of {', '.join(sorted(known))}.")
    if not isinstance(told.get("columns", {}), dict):
        raise Refused(f"The columns in {file} must be an object: column to field.")
    return told


async def _choose(
    db: Database,
    settings: Settings,
    website: str,
    import_id: str,
    told: Mapping[str, Any],
    mode: str | None,
    segment: str | None,
) -> None:
    row = await _read(db, website, import_id)
    layout = _layout(layout_of_import(row), told)
    if layout != layout_of_import(row):
        folder = settings.uploads_folder
        await change_layout(db, folder, website, import_id, layout, COMMAND)
        row = await _read(db, website, import_id)
    columns = columns_of_import(row)
    if "columns" in told:
        columns = by_name([column.column for column in columns], told["columns"], row.kind)
    options = {**row.options, **told} | ({"segment": segment} if segment else {})
    chosen = mode or told.get("mode") or row.mode
    await ask_plan(db, website, import_id, Choice(columns, str(chosen), options), COMMAND)


def _layout(found: Layout, told: Mapping[str, Any]) -> Layout:
    return layout_of(
        str(told.get("encoding", found.encoding)),
        str(told.get("separator", found.separator)),
        header=bool(told.get("header", found.header)),
    )


async def _read(db: Database, website: str, import_id: str) -> StoredRow:
    async with db.read() as connection:
        return await require_import(connection, website, import_id)


async def _wait(db: Database, settings: Settings, website: str, import_id: str) -> StoredRow:
    """Until the step is done: here, or by the process that runs the jobs on this SQLite file."""
    with try_runner_lock(settings.database_url) as may_work:
        worker = ImportWorker(db, settings.uploads_folder, settings.lease_seconds, quiet=True)
        telling = asyncio.create_task(_tell_progress(db, website, import_id))
        try:
            while (row := await _read(db, website, import_id)).state in STAGES:
                if not may_work or not await worker.work_once(import_id):
                    await asyncio.sleep(LOOK_EVERY)
            return row
        finally:
            telling.cancel()


async def _tell_progress(db: Database, website: str, import_id: str) -> None:
    while True:
        await asyncio.sleep(LINE_EVERY)
        row = await _read(db, website, import_id)
        click.echo(f"{row.state}: {in_words(row)}", err=True)


def _exit_code(row: StoredRow) -> int:
    if row.state == "failed":
        return 1
    counts: dict[str, int] = row.counts
    return 3 if counts.get("error") or counts.get("refused") or counts.get("kept") else 0


async def _tell(db: Database, row: StoredRow, *, dry_run: bool, as_json: bool) -> None:
    rows = await _rows(db, row, _TOLD if as_json else _SHOWN, only_bad=not dry_run)
    if as_json:
        click.echo(as_document(_document(row, rows)))
        return
    click.echo(f"{row.id}  {row.state}: {in_words(row)}.")
    if row.error:
        click.echo(f"crispsync: {row.error}", err=True)
    for one in rows:
        bad = one.outcome == "error" or one.state == "refused"
        click.echo(f"line {one.line}: {changes_in_words(one)}", err=bad)


def _document(row: StoredRow, rows: list[StoredRow]) -> dict[str, Any]:
    told = ("line", "outcome", "state", "changes", "problems")
    return {
        "id": row.id,
        "website_id": row.website_id,
        "kind": row.kind,
        "state": row.state,
        "mode": row.mode,
        "counts": row.counts,
        "error": row.error,
        "columns": row.columns,
        "rows": [{name: getattr(one, name) for name in told} for one in rows],
    }


async def _rows(db: Database, row: StoredRow, most: int, *, only_bad: bool) -> list[StoredRow]:
    query = select(import_rows).where(
        import_rows.c.website_id == row.website_id, import_rows.c.import_id == row.id
    )
    if only_bad:
        bad = import_rows.c.state.in_(("refused", "kept"))
        query = query.where((import_rows.c.outcome == "error") | bad)
    async with db.read() as connection:
        return list(await connection.execute(query.order_by(import_rows.c.line).limit(most)))


def undo(import_id: str) -> int:
    """The exit code: 3 when something stays because others changed it since."""

    async def work(db: Database, settings: Settings) -> int:
        async with db.read() as connection:
            website = await _website_of(connection, import_id)
        await ask_undo(db, website, import_id, COMMAND)
        row = await _wait(db, settings, website, import_id)
        counts = row.counts
        click.echo(
            f"{row.id}  {row.state}: {counts.get('undone', 0):,} rows taken back, "
            f"{counts.get('kept', 0):,} keep what others changed since."
        )
        for one in await _rows(db, row, _SHOWN, only_bad=True):
            if one.state == "kept":
                click.echo(f"line {one.line}: {changes_in_words(one)}", err=True)
        if row.error:
            click.echo(f"crispsync: {row.error}", err=True)
        if row.state == "failed":
            return 1
        return 3 if counts.get("kept") or counts.get("kept_companies") else 0

    return with_database(work)


async def _website_of(connection: AsyncConnection, import_id: str) -> str:
    if "\0" not in import_id:
        found = await connection.scalar(
            select(imports.c.website_id).where(imports.c.id == import_id)
        )
        if found is not None:
            return str(found)
    raise NotFound("There is no such import; the page Imports lists them with their ids.")
