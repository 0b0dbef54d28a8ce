"""`crispsync export`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from app.commands.database import with_database
from app.db.session import Database
from app.errors import Refused
from app.imports.company_export import company_lines
from app.imports.export import contact_lines, with_mark
from app.published.export import Export, stream
from app.published.parquet import require_pyarrow, write_parquet
from app.settings import Settings
from app.websites.connect import require_website_id
from app.websites.rules import require_website

_IMPORTED = {"contacts": contact_lines, "companies": company_lines}


def export(noun: Any, form: Any, website: str | None, out: str | None, *, notes: bool) -> None:
    """To the file, which appears when it is whole; else to standard output."""
    chosen = None if website is None else require_website_id(website)
    file = None if out is None else _writable(Path(out))
    if form == "parquet":
        require_pyarrow()
        if file is None:
            raise Refused("A Parquet file cannot be printed: name one with --out FILE.")

    if form == "import" and noun not in _IMPORTED:
        raise Refused(f"Only {' and '.join(_IMPORTED)} are imported: export one of these.")

    async def work(db: Database, _settings: Settings) -> None:
        wanted = Export(noun, await _websites(db, chosen), notes=notes)
        parts = _to_import(db, wanted) if form == "import" else stream(db, wanted, form)
        if file is None:
            await _print(parts)
            return
        part = file.with_name(f".{file.name}.part")
        try:
            if form == "parquet":
                await write_parquet(db, wanted, part)
            else:
                await _write(part, parts)
            part.replace(file)
        finally:
            part.unlink(missing_ok=True)

    with_database(work)


def _to_import(db: Database, wanted: Export) -> AsyncIterator[bytes]:
    if len(wanted.website_ids) != 1:
        raise Refused("Such a file is of one website: name it with --website.")
    return with_mark(_IMPORTED[wanted.noun](db, wanted.website_ids[0]))


def _writable(file: Path) -> Path:
    if file.is_dir() or not file.parent.is_dir():
        raise Refused(f"--out {file}: there is no folder to write such a file into.")
    return file


async def _websites(db: Database, website_id: str | None) -> list[str]:
    from sqlalchemy import select

    from app.websites.tables import websites

    async with db.read() as connection:
        if website_id is not None:
            await require_website(connection, website_id)
            return [website_id]
        rows = await connection.execute(select(websites.c.id).order_by(websites.c.id))
        return list(rows.scalars())


async def _write(file: Path, parts: AsyncIterator[bytes]) -> None:
    try:
        with file.open("wb") as opened:
            async for part in parts:
                opened.write(part)
    except OSError as error:
        raise Refused(f"The file cannot be written: {error.strerror}.") from None


async def _print(parts: AsyncIterator[bytes]) -> None:
    try:
        async for part in parts:
            sys.stdout.buffer.write(part)
            sys.stdout.buffer.flush()
    except BrokenPipeError:
        # Whoever reads has enough; what Python flushes at its end must not complain either.
        sys.stdout = open("/dev/null", "w")  # noqa: SIM115, PTH123, ASYNC230
