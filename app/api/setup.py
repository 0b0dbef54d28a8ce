from __future__ import annotations

from fastapi import APIRouter, Depends, Request, Response
from pydantic import Field

from app.api.answers import answer
from app.api.caller import Db, admin
from app.api.examples import MOMENT
from app.api.problems import errors
from app.published.shapes import Moment, Shape
from app.settings import Settings
from app.webhooks.wanted import EVENTS_TO_TICK
from app.websites.credential import read_credential
from app.websites.setup import addresses, install_link, read_scopes

router = APIRouter(prefix="/setup", tags=["setup"], dependencies=[Depends(admin)])


class Scope(Shape):
    """A scope to tick, and what answers of Crisp told of it. All are for reading."""

    name: str = Field(examples=["website:conversation:messages"])
    purpose: str = Field(examples=["What was said."])
    tested: bool = Field(description="Some route needs it, so that an answer can tell.")
    worked_at: Moment | None = Field(examples=[MOMENT])
    refused_at: Moment | None
    is_refused: bool = Field(description="Since it last worked.", examples=[False])


class Setup(Shape):
    addresses: dict[str, str] = Field(
        description="What the form asks for to what to enter.",
        examples=[{"Web hook URL": "https://sync.acme.example/webhooks/crisp"}],
    )
    is_https: bool = Field(description="Crisp accepts nothing else.")
    scopes: list[Scope]
    events: list[str] = Field(
        description="To tick; which of them arrived is told by /events/arrivals.",
        examples=[["message:send"]],
    )
    install_url: str | None = Field(
        description="Where a website's owner installs the plugin; null without a plugin id.",
        examples=["https://app.crisp.chat/initiate/plugin/0d8f6d0c-9b1a-4b0c-9f0c-7d4f3f0e5ad5/"],
    )


@router.get("", operation_id="getSetup", response_model=Setup, responses=errors())
async def get_setup(request: Request, db: Db) -> Response:
    """What to enter in the plugin's form in Crisp's Marketplace, and what was seen working."""
    settings: Settings = request.app.state.whole.state.settings
    credential = await read_credential(db, settings)
    async with db.read() as connection:
        scopes = await read_scopes(connection, credential.identifier)
    shown = [{name: getattr(scope, name) for name in Scope.model_fields} for scope in scopes]
    told = Setup(
        addresses=addresses(settings.public_url),
        is_https=settings.public_url.startswith("https://"),
        scopes=[Scope(**one) for one in shown],
        events=list(EVENTS_TO_TICK),
        install_url=install_link(credential.plugin_id),
    )
    return answer(request, told)
