"""What an admin chooses for a website, its connection, and whether anything is wrong with it (SPEC C3, C6, C9, T1)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Request, Response
from pydantic import ConfigDict, Field, StrictBool, StrictInt
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts.actors import Actor
from app.api.answers import IfMatch, answer, require_match
from app.api.caller import Caller, Db, admin, known_id
from app.api.given import Given
from app.api.problems import errors
from app.contacts.mapping import effective
from app.contacts.remap_by_hand import MOST_PATHS, read_targets, save_mapping
from app.db.base import StoredRow
from app.errors import NotFound
from app.published.shapes import Moment, Shape
from app.websites.preferences import (
    FLAGS,
    change_preferences,
    read_preferences,
    require_configurable,
)
from app.websites.rules import require_website

router = APIRouter(prefix="/websites", tags=["websites"], dependencies=[Depends(admin)])


class WebsiteSettings(Shape):
    """Off means off from now on: what is stored stays."""

    import_people: bool
    import_conversations: bool
    import_notes: bool
    import_custom_data: bool
    import_since: Moment | None = Field(description="How far back the first import reaches.")
    time_zone: str = Field(examples=["Europe/Paris"])
    business_hours: str | None = Field(
        description="What figures tell waits within; null: as BUSINESS_HOURS says.",
        examples=["mon-fri 09:00-17:00"],
    )
    message_days: int | None = Field(
        description="After so many days the text of messages is dropped for good; null: never."
    )


class SettingsChange(Given):
    """What is left out stays as it is."""

    import_people: StrictBool | None = Field(None, examples=[True])
    import_conversations: StrictBool | None = Field(None, examples=[True])
    import_notes: StrictBool | None = Field(None, examples=[False])
    import_custom_data: StrictBool | None = Field(None, examples=[True])
    import_since: date | None = Field(
        None, description="A day in the website's time zone; null: everything.", examples=[None]
    )
    time_zone: str | None = Field(None, max_length=64, examples=["Europe/Paris"])
    business_hours: str | None = Field(
        None,
        max_length=400,
        description="Several parts are separated by commas.",
        examples=["mon-thu 09:00-18:00, fri 09:00-15:00"],
    )
    message_days: StrictInt | None = Field(None, examples=[365])

    def values(self, now: StoredRow) -> dict[str, Any]:
        """Columns of `websites` by what is given. Raises Refused, one reason."""
        given = self.model_fields_set
        flags = {flag for flag in FLAGS if getattr(self, flag) is not None}
        typed = {flag: "yes" for flag in flags if getattr(self, flag)}
        typed["time_zone"] = self.time_zone or now.time_zone
        if self.import_since is not None:
            typed |= {"depth": "date", "since": self.import_since.isoformat()}
        if "message_days" in given:
            days = self.message_days
            typed |= (
                {"texts": "always"} if days is None else {"texts": "days", "text_days": str(days)}
            )
        if "business_hours" in given:
            typed["business_hours"] = self.business_hours or ""
        wanted = flags | (given & {"import_since", "message_days", "business_hours"})
        wanted |= {"time_zone"} if self.time_zone is not None else set()
        return {name: value for name, value in read_preferences(typed).items() if name in wanted}


def require_known(actor: Actor, website_id: str) -> str:
    """Raises NotFound."""
    if not known_id(website_id) or not actor.sees(website_id):
        raise NotFound("There is no website of that id here.")
    return website_id


async def _row(connection: AsyncConnection, actor: Actor, website_id: str) -> StoredRow:
    try:
        return await require_website(connection, require_known(actor, website_id))
    except NotFound:
        raise NotFound("There is no website of that id here.") from None


def _shown(row: StoredRow) -> WebsiteSettings:
    return WebsiteSettings(**{name: getattr(row, name) for name in WebsiteSettings.model_fields})


@router.get(
    "/{website_id}/settings", operation_id="getWebsiteSettings", response_model=WebsiteSettings,
    responses=errors(404),
)  # fmt: skip
async def get_settings(request: Request, db: Db, actor: Caller, website_id: str) -> Response:
    async with db.read() as connection:
        return answer(request, _shown(await _row(connection, actor, website_id)))


@router.patch(
    "/{website_id}/settings", operation_id="changeWebsiteSettings",
    response_model=WebsiteSettings, responses=errors(404, 412),
)  # fmt: skip
async def change_settings(
    request: Request,
    db: Db,
    actor: Caller,
    website_id: str,
    wanted: Annotated[SettingsChange, Body()],
    if_match: IfMatch = None,
) -> Response:
    async def work(connection: AsyncConnection) -> WebsiteSettings:
        await _row(connection, actor, website_id)
        now = await require_configurable(connection, actor, website_id)
        require_match(if_match, _shown(now))
        await change_preferences(connection, actor, website_id, wanted.values(now))
        return _shown(await require_website(connection, website_id))

    return answer(request, await db.transact(work))


class MappingOf(Shape):
    """Crisp's path to a column of a contact or `attributes.KEY`. `changed`: contacts that changed."""

    targets: dict[str, str] = Field(
        examples=[{"person.nickname": "name", "data.tier": "attributes.plan"}]
    )
    overrides: dict[str, str | None] = Field(
        description="What differs from the default.", examples=[{"data.tier": "attributes.plan"}]
    )
    changed: int = 0


class MappingChange(Given):
    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"overrides": {"data.tier": "attributes.plan"}}]},
    )
    overrides: dict[str, Annotated[str, Field(max_length=200)] | None] = Field(
        description="All that differ from the default; null leaves a field out.",
        max_length=MOST_PATHS,
    )


def _targets(row: StoredRow, changed: int = 0) -> MappingOf:
    stored: Mapping[str, str | None] = row.mapping
    return MappingOf(targets=dict(effective(stored)), overrides=dict(stored), changed=changed)


@router.get(
    "/{website_id}/mapping", operation_id="getMapping", response_model=MappingOf,
    responses=errors(404),
)  # fmt: skip
async def get_mapping(request: Request, db: Db, actor: Caller, website_id: str) -> Response:
    """Where each field of Crisp's profiles goes."""
    async with db.read() as connection:
        return answer(request, _targets(await _row(connection, actor, website_id)))


@router.put(
    "/{website_id}/mapping", operation_id="changeMapping", response_model=MappingOf,
    responses=errors(404),
)  # fmt: skip
async def change_mapping(
    request: Request,
    db: Db,
    actor: Caller,
    website_id: str,
    wanted: Annotated[MappingChange, Body()],
) -> Response:
    """Applied at once to what is stored, without asking Crisp."""
    chosen = read_targets(
        {path.replace("\0", ""): target or "" for path, target in wanted.overrides.items()}
    )

    async def work(connection: AsyncConnection) -> MappingOf:
        await _row(connection, actor, website_id)
        changed = await save_mapping(connection, actor, website_id, chosen)
        return _targets(await require_website(connection, website_id), changed)

    return answer(request, await db.transact(work))
