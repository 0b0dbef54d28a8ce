"""Files that an import gives back: its bad rows, a sample to begin with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from app.db.base import StoredRow
from app.db.session import Database
from app.errors import Refused
from app.imports.bad_rows import bad_rows
from app.imports.reader import Reader
from app.imports.setup import layout_of_import
from app.imports.uploads import path_of

SAMPLE = (
    "email,first_name,last_name,phone,job_title,company_name,company_url,country,city,segments,"
    "created,data.plan\r\n"
    "ada@acme.example,Ada,Example,+34651234567,Buyer,Acme,https://acme.example,ES,Madrid,"
    "vip|newsletter,2020-08-14T14:09:10-02:00,pro\r\n"
    "bo@beta.example,Bo,,,,Beta,,DE,Berlin,,1694070416,free\r\n"
)
COMPANY_SAMPLE = (
    "company_name,company_url,company_description,other_names,other_domains,data.plan\r\n"
    "Acme,https://acme.example,Anvils and more,Acme Inc|Acme Ltd,acme.test,pro\r\n"
    "Beta,,,,,free\r\n"
)
SAMPLES = {"contacts": SAMPLE, "companies": COMPANY_SAMPLE}
"""By what each row is."""


async def bad_rows_of(db: Database, folder: Path, row: StoredRow) -> AsyncIterator[str]:
    """The lines of the CSV file. Refused rows have their cells in the uploaded file only, while it is kept."""
    names = [told["column"] for told in row.columns]

    async def cells_of(lines: Sequence[int]) -> dict[int, list[str]]:
        return await asyncio.to_thread(_read_lines, folder, row, frozenset(lines))

    async for line in bad_rows(db, row, names, cells_of):
        yield line


def _read_lines(folder: Path, row: StoredRow, lines: frozenset[int]) -> dict[int, list[str]]:
    last = max(lines)
    found: dict[int, list[str]] = {}
    try:
        path = path_of(folder, row.file)
    except Refused:
        return found
    for raw in Reader(path, layout_of_import(row)):
        if raw.line in lines:
            found[raw.line] = raw.cells
        if raw.line >= last:
            break
    return found
