from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse

from app.api.caller import Asked, Caller, Db, chosen
from app.api.messages import Include
from app.api.problems import errors
from app.published.export import MEDIA_TYPES, Export, Form, Noun, stream

router = APIRouter(prefix="/exports", tags=["exports"])


@router.get(
    "/{noun}", operation_id="exportList", response_class=StreamingResponse,
    responses=errors(404) | {200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)  # fmt: skip
async def export_list(
    db: Db,
    actor: Caller,
    noun: Noun,
    form: Annotated[Form, Query(alias="format")] = "csv",
    website: Asked = None,
    include: Include = [],  # noqa: B006  # FastAPI copies it
) -> StreamingResponse:
    """A whole list as one file, streamed. In CSV, cells that a spreadsheet would run begin with `'`."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
    export = Export(noun, [website_id], notes="notes" in include)
    name = f'attachment; filename="{noun}.{form}"'
    headers = {"Content-Disposition": name, "Cache-Control": "private, no-store"}
    return StreamingResponse(
        stream(db, export, form), media_type=MEDIA_TYPES[form], headers=headers
    )
