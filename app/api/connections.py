"""Connecting, pausing and disconnecting a website, and what the doctor finds (SPEC C3, C9, T1)."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ConfigDict, Field
from sqlalchemy import select

from app.accounts.actors import Actor, Forbidden
from app.api.answers import answer
from app.api.caller import Caller, Db, admin, known_id, visible
from app.api.given import Given
from app.api.problems import errors
from app.db.session import Database
from app.doctor.look import examine
from app.errors import NotFound, Refused
from app.privacy.website import erase_website
from app.published.shapes import Shape, Website, WebsiteId
from app.settings import Settings
from app.sync.access import opened_client
from app.sync.connection import pause_connection, resume_connection
from app.websites.connect import disconnect, require_website_id, save_connected, verify
from app.websites.credential import read_credential
from app.websites.tables import websites

router = APIRouter(prefix="/websites", tags=["websites"], dependencies=[Depends(admin)])
_EXAMPLE = "8c842203-7ed8-4e29-a608-7cf78a7d2fcc"


class Connect(Given):
    website_id: str = Field(
        max_length=200, description="As in Crisp's settings.", examples=[_EXAMPLE]
    )


class Disconnect(Given):
    """`keep` what is here, or `erase` it for good, with the website's `name` to confirm."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"data": "keep"}]})
    data: Literal["keep", "erase"]
    name: str = Field("", max_length=500)


class Disconnected(Shape):
    id: WebsiteId
    erased: bool


class Finding(Shape):
    cause: str = Field(examples=["hooks_not_arriving"])
    sentence: str = Field(examples=["Web hooks do not arrive."])
    remedy: str = Field(examples=["Enter the address of the hook in Crisp's Marketplace."])
    evidence: str = Field(examples=["The last hook arrived 3 hours ago."])


class Findings(Shape):
    data: list[Finding]


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.whole.state.settings
    return settings


async def _website(db: Database, actor: Actor, website_id: str) -> Website:
    """Raises NotFound."""
    async with db.read() as connection:
        if not known_id(website_id) or website_id not in await visible(connection, actor):
            raise NotFound("There is no website of that id here.")
        shown = [websites.c[name] for name in Website.model_fields]
        row = (await connection.execute(select(*shown).where(websites.c.id == website_id))).one()
    return Website(**row._asdict())


@router.post(
    "", operation_id="connectWebsite", status_code=201, response_model=Website,
    responses=errors(404, 502),
)  # fmt: skip
async def connect(
    request: Request, db: Db, actor: Caller, wanted: Annotated[Connect, Body()]
) -> Response:
    """Verified with Crisp first; whatever is wrong is a sentence, and nothing is saved."""
    settings, website_id = _settings(request), require_website_id(wanted.website_id)
    if not actor.sees(website_id):
        raise Forbidden(
            "This token is for other websites: connect it with one that sees every one."
        )
    plugin_id = (await read_credential(db, settings)).plugin_id
    async with opened_client(db, settings) as client:
        found = await verify(client, website_id, plugin_id)
    await save_connected(db, found, actor)
    return answer(request, await _website(db, actor, found.website_id), 201)


@router.post(
    "/{website_id}/disconnect", operation_id="disconnectWebsite", response_model=Disconnected,
    responses=errors(404, 409),
)  # fmt: skip
async def end(
    request: Request, db: Db, actor: Caller, website_id: str, wanted: Annotated[Disconnect, Body()]
) -> Response:
    website = await _website(db, actor, website_id)
    if wanted.data == "keep":
        await disconnect(db, website_id, actor=actor)
    elif wanted.name.strip() != website.name.strip():
        raise Refused("`name` is not the website's name, so nothing was erased.")
    else:
        folder = request.app.state.whole.state.uploads.folder
        await erase_website(db, folder, website_id, actor)
    return answer(request, Disconnected(id=website_id, erased=wanted.data == "erase"))


@router.post(
    "/{website_id}/{what}", operation_id="changeConnection", response_model=Website,
    responses=errors(404, 409),
)  # fmt: skip
async def change(
    request: Request, db: Db, actor: Caller, website_id: str, what: Literal["pause", "resume"]
) -> Response:
    """While it is paused hooks are only stored and runs stand still."""
    await _website(db, actor, website_id)
    await (pause_connection if what == "pause" else resume_connection)(db, actor, website_id)
    state = request.app.state.whole.state
    if what == "resume":
        state.hook_bell()
    await state.ring()
    return answer(request, await _website(db, actor, website_id))


@router.get(
    "/{website_id}/findings", operation_id="listFindings", response_model=Findings,
    responses=errors(404),
)  # fmt: skip
async def findings(request: Request, db: Db, actor: Caller, website_id: str) -> Response:
    """What is wrong, from what is stored, with the evidence and what to do; empty when nothing is."""
    await _website(db, actor, website_id)
    return answer(request, await _found(request, db, website_id, live=False))


@router.post(
    "/{website_id}/findings/live", operation_id="checkWebsite", response_model=Findings,
    responses=errors(404, 502),
)  # fmt: skip
async def check(request: Request, db: Db, actor: Caller, website_id: str) -> Response:
    """The same, and Crisp is asked: it costs a request or two."""
    await _website(db, actor, website_id)
    return answer(request, await _found(request, db, website_id, live=True))


async def _found(request: Request, db: Database, website_id: str, *, live: bool) -> Findings:
    found = await examine(db, _settings(request), website_id, live=live)
    return Findings(
        data=[
            Finding(cause=f.cause, sentence=f.sentence, remedy=f.remedy, evidence=f.evidence)
            for f in found
        ]
    )
