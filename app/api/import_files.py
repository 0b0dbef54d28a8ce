"""Files that imports give: a sample, what can be imported again, the rows that stayed out (SPEC I1, I8, I12)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from app.api.caller import Asked, Caller, Db, chosen
from app.api.import_steps import row_of, uploads_of
from app.api.imports import Kind
from app.api.problems import errors
from app.imports.company_export import company_lines
from app.imports.downloads import SAMPLES, bad_rows_of
from app.imports.export import contact_lines

router = APIRouter(prefix="/imports", tags=["imports"])
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
_MEDIA = "text/csv; charset=utf-8"
_LINES = {"contacts": contact_lines, "companies": company_lines}


@router.get(
    "/sample.csv", operation_id="getSampleFile", response_class=StreamingResponse,
    responses=errors() | _FILE,
)  # fmt: skip
async def sample(kind: Kind = "contacts") -> Response:
    """A file to begin with."""
    return Response(SAMPLES[kind], media_type=_MEDIA)


@router.get(
    "/again.csv", operation_id="getFileToImportAgain", response_class=StreamingResponse,
    responses=errors(404) | _FILE,
)  # fmt: skip
async def again(db: Db, actor: Caller, website: Asked = None, kind: Kind = "contacts") -> Response:
    """All contacts or companies, in columns that an import recognises: uploaded again, it changes nothing."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    return _as_file(_LINES[kind](db, website_id), f"{kind}.csv")


@router.get(
    "/{import_id}/bad-rows.csv", operation_id="getBadRowsOfImport",
    response_class=StreamingResponse, responses=errors(404) | _FILE,
)  # fmt: skip
async def bad_rows(request: Request, db: Db, actor: Caller, import_id: str) -> Response:
    """The rows that stayed out, with the reasons: to be repaired and uploaded again."""
    row = await row_of(db, actor, import_id)
    return _as_file(bad_rows_of(db, uploads_of(request).folder, row), "bad-rows.csv")


def _as_file(lines: AsyncIterator[str], name: str) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "private, no-store",
    }
    return StreamingResponse(_encoded(lines), media_type=_MEDIA, headers=headers)


async def _encoded(lines: AsyncIterator[str]) -> AsyncIterator[bytes]:
    async for line in lines:
        yield line.encode()
