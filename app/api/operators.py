from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Asked, Caller, Db, chosen
from app.api.problems import errors
from app.edits.team import team_of
from app.published.shapes import Shape

router = APIRouter(prefix="/operators", tags=["operators"])


class Operator(Shape):
    id: str = Field(
        description="Crisp's user id.", examples=["5c0e9a52-7f0c-4a5e-9a0e-6d8a3f0b1c2d"]
    )
    name: str = Field(examples=["Mira"])


class OperatorList(Shape):
    data: list[Operator]
    next_cursor: None = None


@router.get("", operation_id="listOperators", response_model=OperatorList, responses=errors(404))
async def list_operators(
    request: Request, db: Db, actor: Caller, website: Asked = None
) -> Response:
    """Who answers in Crisp, by name; each can be the owner of contacts and companies."""
    async with db.read() as connection:
        website_id = await chosen(connection, actor, website)
        team = await team_of(connection, website_id)
    return answer(request, OperatorList(data=[Operator(id=o.user_id, name=o.name) for o in team]))
