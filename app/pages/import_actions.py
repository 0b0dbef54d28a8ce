"""Uploading, mapping, planning, committing and undoing imports; each is a call of app.imports, and a redirect."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message, Receive

from app.errors import Conflict, NotFound, Refused
from app.imports import steps
from app.imports.begin import begin_import, change_layout
from app.imports.columns import ColumnMap, column_map
from app.imports.layout import layout_of
from app.imports.mappings import save_mapping
from app.imports.setup import columns_of_import
from app.imports.uploads import TooLarge, store
from app.pages.access import CurrentActor, member
from app.pages.frame import Frame, database_of, visit
from app.pages.imports import require, show_list, show_mapping
from app.pages.parts import Uploads, ring_for_imports, uploads_of
from app.pages.security import (
    FORM_FIELD,
    FORM_HEADER,
    require_form_token,
    require_own_origin,
    require_own_request,
)

router = APIRouter(dependencies=[Depends(require_own_origin), Depends(member)])
# The two forms that are too big for it read their token themselves.
OWN = [Depends(require_own_request)]

Typed = Annotated[str, Form()]
Kept = Annotated[Uploads, Depends(uploads_of)]
_MB = 1024 * 1024
_AROUND = 64 * 1024
"""What a form has around its file."""


@router.post("/imports")
async def upload(request: Request, actor: CurrentActor, kept: Kept) -> Response:
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
    try:
        form = await _form_with_file(request, kept.most_mb)
        require_form_token(request, request.headers.get(FORM_HEADER) or form.get(FORM_FIELD))
        file = _file_of(form)
        stored = await store(kept.folder, file.filename or "file.csv", file, kept.most_mb)
        await form.close()
        db, kind = database_of(request), str(form.get("kind") or "contacts")
        import_id = await begin_import(db, kept.folder, website_id, stored, actor, kind)
    except (Refused, TooLarge) as refused:
        async with visit(request) as page:
            return await show_list(page, refused.http_status, refused.message)
    return _see(frame, import_id)


def _file_of(form: FormData) -> UploadFile:
    file = form.get("file")
    if not isinstance(file, UploadFile) or not (file.filename or file.size):
        raise Refused("Choose a CSV file first.")
    return file


async def _form_with_file(request: Request, most_mb: int) -> FormData:
    """The form, its file on the disk. Raises TooLarge as soon as it is known, not when it has arrived."""
    most = most_mb * _MB + _AROUND
    sentence = f"The file has more than {most_mb:,} MB; split it."
    length = request.headers.get("content-length", "0")
    if length.isdigit() and int(length) > most:
        raise TooLarge(sentence)
    counted = Request(request.scope, _counting(request.receive, most, sentence))
    return await counted.form(max_files=1, max_fields=20)


def _counting(receive: Receive, most: int, sentence: str) -> Receive:
    came = 0

    async def receive_counted() -> Message:
        nonlocal came
        message = await receive()
        came += len(message.get("body", b""))
        if came > most:
            raise TooLarge(sentence)
        return message

    return receive_counted


@router.post("/imports/{import_id}/layout", dependencies=OWN)
async def choose_layout(
    request: Request,
    actor: CurrentActor,
    kept: Kept,
    import_id: str,
    encoding: Typed = "",
    separator: Typed = "",
    header: Typed = "",
    kind: Typed = "",
) -> Response:
    frame, website_id = await _frame(request)
    names = {"comma": ",", "semicolon": ";", "tab": "\t", "pipe": "|"}
    layout = layout_of(encoding, names.get(separator, separator), header=header == "yes")
    db = database_of(request)
    await change_layout(db, kept.folder, website_id, import_id, layout, actor, kind or None)
    return _see(frame, import_id)


@router.post("/imports/{import_id}/plan")
async def plan(request: Request, actor: CurrentActor, import_id: str) -> Response:
    form = await request.form(max_fields=3000)
    require_form_token(request, request.headers.get(FORM_HEADER) or form.get(FORM_FIELD))
    async with visit(request) as page:
        row = await require(page, import_id)
        frame, website_id = page.frame, page.website_id
    typed: dict[str, Any] = {
        "columns": columns_of_import(row),
        "options": _options(form),
        "mode": str(form.get("mode", "")),
    }
    db = database_of(request)
    try:
        names = [column.column for column in typed["columns"]]
        typed["columns"] = [_column(form, n, name, row.kind) for n, name in enumerate(names)]
        name = str(form.get("save_as", "")).strip()
        choice = steps.Choice(typed["columns"], typed["mode"], typed["options"])
        await steps.ask_plan(db, website_id, import_id, choice, actor)
        if name:
            await save_mapping(
                db, website_id, name, choice.columns, choice.options, actor, row.kind
            )
    except Conflict:
        raise
    except Refused as refused:
        async with visit(request) as page:
            return await show_mapping(page, row, refused.http_status, refused.message, typed)
    ring_for_imports(request)
    return _see(frame, import_id)


def _column(form: FormData, number: int, name: str, kind: str) -> ColumnMap:
    to = str(form.get(f"to.{number}", ""))
    if to == "custom":
        to = f"data.{form.get(f'key.{number}', '')}"
    told = {
        "to": to,
        "type": str(form.get(f"type.{number}", "text")),
        "choices": str(form.get(f"choices.{number}", "")),
    }
    return column_map(name, told, kind)


def _options(form: FormData) -> dict[str, Any]:
    return {
        "default_prefix": str(form.get("default_prefix", ""))[:20],
        "split_on_space": form.get("split_on_space") == "yes",
        "segment": str(form.get("segment", ""))[:200],
    }


@router.post("/imports/{import_id}/commit", dependencies=OWN)
async def commit(
    request: Request, actor: CurrentActor, import_id: str, plan_hash: Typed = ""
) -> Response:
    frame, website_id = await _frame(request)
    await steps.ask_commit(database_of(request), website_id, import_id, plan_hash, actor)
    ring_for_imports(request)
    return _see(frame, import_id)


@router.post("/imports/{import_id}/{what}", dependencies=OWN)
async def change(
    request: Request, actor: CurrentActor, kept: Kept, import_id: str, what: str
) -> Response:
    frame, website_id = await _frame(request)
    db = database_of(request)
    if what == "again":
        await steps.ask_again(db, website_id, import_id, actor)
    elif what == "undo":
        await steps.ask_undo(db, website_id, import_id, actor)
    elif what == "cancel":
        await steps.cancel(db, kept.folder, website_id, import_id, actor)
    elif what == "remap":
        await steps.ask_mapping(db, website_id, import_id, actor)
    else:
        raise NotFound(
            "An import can be planned, committed, undone or cancelled, and nothing else."
        )
    ring_for_imports(request)
    return _see(frame, import_id)


@router.post("/imports/{import_id}/rows/{line}/undo", dependencies=OWN)
async def undo_row(
    request: Request, actor: CurrentActor, import_id: str, line: int, show: Typed = ""
) -> Response:
    frame, website_id = await _frame(request)
    await steps.undo_some(database_of(request), website_id, import_id, [line], actor)
    return RedirectResponse(frame.url(f"/imports/{import_id}", show=show), status_code=303)


async def _frame(request: Request) -> tuple[Frame, str]:
    # Read and closed before anything is written.
    async with visit(request) as page:
        return page.frame, page.website_id


def _see(frame: Frame, import_id: str) -> Response:
    return RedirectResponse(frame.url(f"/imports/{import_id}"), status_code=303)
