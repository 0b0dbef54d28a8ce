from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Caller, Db
from app.api.finding import website_with
from app.api.paging import CursorText, Limit, Page, page_of
from app.api.problems import errors
from app.db.base import StoredRow
from app.db.keyset import ByteOrder, Order
from app.published.shapes import Id, Moment, Shape
from app.records import conversation_id
from app.sync.drift import findings_query
from app.sync.tables import audit_findings, sync_runs

router = APIRouter(prefix="/syncs", tags=["syncs"])
_f = audit_findings.c
ORDERS: Mapping[str, Order] = {
    "kind": Order(ByteOrder(_f.kind), _f.external_id, str, nullable=False)
}
Kind = Literal["contact", "conversation", "message"]
What = Literal["missing", "changed", "removed"]
Path = Literal["hook", "incremental", "full"]


class Drift(Shape):
    """A record that was not stored as Crisp has it."""

    kind: Kind
    external_id: str = Field(
        description="Crisp's: the people id, the session id, or `session id/fingerprint`.",
        examples=["session_36ba3566-9651-4790-afc8-ffedbccc317f/150698569649423"],
    )
    conversation_id: Id | None = Field(description="Of a conversation or message.")
    what: What = Field(description="`missing` here, `changed` since, or `removed` in Crisp.")
    missed_by: Path = Field(description="The last of the paths that should have brought the news.")
    repaired: bool = Field(description="It was compared again, and is now as Crisp has it.")
    found_at: Moment


class DriftPage(Page):
    data: list[Drift]


@router.get(
    "/{sync_id}/drift", operation_id="listDriftOfSync", response_model=DriftPage,
    responses=errors(400, 404),
)  # fmt: skip
async def list_drift(
    request: Request,
    db: Db,
    actor: Caller,
    sync_id: str,
    kind: Kind | None = None,
    what: What | None = None,
    missed_by: Path | None = None,
    repaired: Annotated[bool | None, Query(description="Left out: either.")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """What an audit found to differ from Crisp, and repaired. Nothing for a run of another kind."""
    wanted = {"kind": kind, "what": what, "missed_by": missed_by, "repaired": repaired}
    async with db.read() as connection:
        website_id = await website_with(connection, actor, sync_runs, sync_id, "sync")
        query = findings_query(website_id, sync_id)
        for name, value in wanted.items():
            query = query.where(_f[name] == value) if value is not None else query
        page, following = await page_of(
            connection, query, ORDERS, "kind", cursor, limit, {"drift": sync_id, **wanted}
        )
    data = [_shown(website_id, row) for row in page.rows]
    return answer(request, DriftPage(data=data, next_cursor=following))


def _shown(website_id: str, row: StoredRow) -> Drift:
    session_id = row.external_id
    if row.kind == "message":
        session_id = session_id.rpartition("/")[0]
    own_id = None if row.kind == "contact" else conversation_id(website_id, session_id)
    told = {name: getattr(row, name) for name in Drift.model_fields if name != "conversation_id"}
    return Drift(conversation_id=own_id, **told)
