"""Uploading a CSV file, and each step that is asked of an import (SPEC I1 to I10)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Request, Response
from pydantic import Field, StrictBool

from app.accounts.actors import Actor
from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen, member
from app.api.given import Given
from app.api.imports import ColumnFields, Import, Kind, LayoutFields, Mode, load_import
from app.api.problems import errors
from app.db.base import StoredRow
from app.db.session import Database
from app.errors import NotFound, Refused
from app.imports import steps
from app.imports.asked import require_import
from app.imports.begin import begin_import, change_layout
from app.imports.columns import ColumnMap, column_map
from app.imports.downloads import SAMPLE
from app.imports.layout import layout_of
from app.imports.mappings import mapped_like, save_mapping, saved_mappings
from app.imports.reader import read_head
from app.imports.setup import columns_of_import, layout_of_import
from app.imports.uploads import TooLarge, path_of, store_blocks
from app.published.shapes import Shape

router = APIRouter(prefix="/imports", tags=["imports"])
CHANGES = [Depends(member)]
_CSV = {"text/csv": {"schema": {"type": "string"}, "example": SAMPLE}}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
_MB, _PREVIEW = 1024 * 1024, 20
Line = Annotated[int, Path(ge=1, lt=1 << 63)]


class Plan(Given):
    columns: list[ColumnFields] | None = Field(
        None,
        description="What each column fills; those left out are ignored. Without it: as suggested, "
        "or as `mapping` has them.",
        examples=[[{"column": "E-mail", "to": "email"}, {"column": "Plan", "to": "data.plan"}]],
        max_length=500,
    )
    mapping: str | None = Field(
        None, max_length=100, description="The name of a saved one.", examples=[None]
    )
    mode: Mode = Field(
        "merge", description="When the address is known already.", examples=["merge"]
    )
    default_prefix: str = Field("", max_length=20, examples=["+34"])
    split_on_space: StrictBool = Field(
        default=False, description="Segments are separated by spaces, too.", examples=[False]
    )
    segment: str = Field("", max_length=200, description="All rows get it.", examples=["spring"])
    save_as: str = Field(
        "", max_length=100, description="Keep the mapping under this name.", examples=[""]
    )


class Commit(Given):
    plan_hash: str = Field(
        max_length=200, description="Of the plan that was looked at.", examples=["9b1c…"]
    )


class Head(Shape):
    names: list[str] = Field(examples=[["email", "name"]])
    rows: list[list[str]] = Field(examples=[[["ann@acme.example", "Ann Example"]]])


def uploads_of(request: Request) -> Any:
    return request.app.state.whole.state.uploads


@router.post(
    "", operation_id="uploadImport", status_code=201, response_model=Import,
    responses=errors(404, 413), dependencies=CHANGES,
    openapi_extra={"requestBody": {"required": True, "content": _CSV}},
)  # fmt: skip
async def upload(
    request: Request,
    db: Db,
    actor: Caller,
    website: Asked = None,
    file_name: Annotated[str, Query(max_length=200, pattern=r"^[^\x00]*$")] = "file.csv",
    kind: Annotated[Kind, Query(description="What each row is.")] = "contacts",
) -> Response:
    """The file is the body, as it is, streamed: `curl --data-binary @contacts.csv`. Nothing is written
    yet: the answer says how the file is read and what its columns are suggested to fill.
    """
    kept = uploads_of(request)
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > kept.most_mb * _MB:
        raise TooLarge(f"The file has more than {kept.most_mb:,} MB; split it.")
    stored = await store_blocks(kept.folder, file_name, request.stream(), kept.most_mb)
    import_id = await begin_import(db, kept.folder, website_id, stored, actor, kind)
    headers = {"Location": f"/api/v1/imports/{import_id}"}
    async with db.read() as connection:
        return answer(request, await load_import(connection, actor, import_id), 201, headers)


async def row_of(db: Database, actor: Actor, import_id: str) -> StoredRow:
    """Raises NotFound."""
    async with db.read() as connection:
        found = await load_import(connection, actor, import_id)
        return await require_import(connection, found.website_id, found.id)


@router.get(
    "/{import_id}/head", operation_id="getHeadOfImport", response_model=Head, responses=errors(404)
)
async def head(request: Request, db: Db, actor: Caller, import_id: str) -> Response:
    """The first rows, as they are read with the present layout. 422 when the file is kept no longer."""
    row = await row_of(db, actor, import_id)
    path = path_of(uploads_of(request).folder, row.file)
    names, rows = await asyncio.to_thread(read_head, path, layout_of_import(row), _PREVIEW)
    return answer(request, Head(names=names, rows=[one.cells for one in rows]))


Step = Callable[[StoredRow], Awaitable[Any]]


async def _step(
    request: Request, db: Database, actor: Actor, import_id: str, step: Step, status: int = 202
) -> Response:
    """The import after it; a worker does what takes long."""
    await step(await row_of(db, actor, import_id))
    bell = getattr(request.app.state.whole.state, "import_bell", None)
    if bell is not None:
        bell()
    async with db.read() as connection:
        return answer(request, await load_import(connection, actor, import_id), status)


@router.post(
    "/{import_id}/layout", operation_id="changeLayoutOfImport", response_model=Import,
    responses=errors(404, 409), dependencies=CHANGES,
)  # fmt: skip
async def choose_layout(
    request: Request, db: Db, actor: Caller, import_id: str, wanted: Annotated[LayoutFields, Body()]
) -> Response:
    """Read it otherwise; the columns are suggested anew."""
    layout = layout_of(wanted.encoding, wanted.separator, header=wanted.header)

    async def step(row: StoredRow) -> None:
        folder = uploads_of(request).folder
        await change_layout(db, folder, row.website_id, row.id, layout, actor, wanted.kind)

    return await _step(request, db, actor, import_id, step, 200)


@router.post(
    "/{import_id}/plan", operation_id="planImport", status_code=202, response_model=Import,
    responses=errors(404, 409), dependencies=CHANGES,
)  # fmt: skip
async def plan(
    request: Request, db: Db, actor: Caller, import_id: str, wanted: Annotated[Plan, Body()]
) -> Response:
    """Have the whole file compared with what is stored; nothing is written. When `state` is `planned`,
    `/rows` tells what each row would do, and `plan_hash` is what a commit names.
    """
    options = {
        "default_prefix": wanted.default_prefix,
        "split_on_space": wanted.split_on_space,
        "segment": wanted.segment,
    }

    async def step(row: StoredRow) -> None:
        columns = await _columns(db, row, wanted)
        choice = steps.Choice(columns, wanted.mode, options)
        await steps.ask_plan(db, row.website_id, row.id, choice, actor)
        if wanted.save_as.strip():
            await save_mapping(
                db, row.website_id, wanted.save_as, columns, options, actor, row.kind
            )

    return await _step(request, db, actor, import_id, step)


async def _columns(db: Database, row: StoredRow, wanted: Plan) -> list[ColumnMap]:
    """Raises Refused, NotFound."""
    there = columns_of_import(row)
    names = [column.column for column in there]
    if wanted.columns is not None:
        return _named(names, wanted.columns, row.kind)
    if wanted.mapping is None:
        return there
    async with db.read() as connection:
        for saved in await saved_mappings(connection, row.website_id, row.kind):
            if saved.name == wanted.mapping:
                return mapped_like(names, saved)
    raise NotFound("There is no saved mapping of that name.")


def _named(names: Sequence[str], given: Sequence[ColumnFields], kind: str) -> list[ColumnMap]:
    """Of columns with the same name the first that is given is the first of the file."""
    left = list(given)
    found = []
    for name in names:
        told = next((one for one in left if one.column == name), None)
        if told is not None:
            left.remove(told)
        found.append(column_map(name, told.model_dump() if told else None, kind))
    if left:
        raise Refused(
            f"The file has no column “{left[0].column[:60]}” that is not told of already."
        )
    return found


@router.post(
    "/{import_id}/commit", operation_id="commitImport", status_code=202, response_model=Import,
    responses=errors(404, 409), dependencies=CHANGES,
)  # fmt: skip
async def commit(
    request: Request, db: Db, actor: Caller, import_id: str, wanted: Annotated[Commit, Body()]
) -> Response:
    """Apply exactly that plan. A row whose contact changed meanwhile is refused, and counted."""

    async def step(row: StoredRow) -> None:
        await steps.ask_commit(db, row.website_id, row.id, wanted.plan_hash, actor)

    return await _step(request, db, actor, import_id, step)


@router.post(
    "/{import_id}/rows/{line}/undo", operation_id="undoRowOfImport", response_model=Import,
    responses=errors(404, 409), dependencies=CHANGES,
)  # fmt: skip
async def undo_row(request: Request, db: Db, actor: Caller, import_id: str, line: Line) -> Response:
    """Take back one row at once."""

    async def step(row: StoredRow) -> None:
        await steps.undo_some(db, row.website_id, row.id, [line], actor)

    return await _step(request, db, actor, import_id, step, 200)


@router.post(
    "/{import_id}/{what}", operation_id="changeImport", status_code=202, response_model=Import,
    responses=errors(404, 409), dependencies=CHANGES,
)  # fmt: skip
async def change(
    request: Request,
    db: Db,
    actor: Caller,
    import_id: str,
    what: Literal["undo", "again", "cancel", "remap"],
) -> Response:
    """`undo` takes back what it changed, except what others changed since; `again` plans the refused
    rows anew; `remap` goes back from the plan to the mapping; `cancel` ends it before anything is written.
    """

    async def step(row: StoredRow) -> None:
        if what == "cancel":
            await steps.cancel(db, uploads_of(request).folder, row.website_id, row.id, actor)
            return
        asked = {"undo": steps.ask_undo, "again": steps.ask_again, "remap": steps.ask_mapping}
        await asked[what](db, row.website_id, row.id, actor)

    return await _step(request, db, actor, import_id, step)
