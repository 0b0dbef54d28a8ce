"""Conversations that are left without a contact are nobody's task until their reason changes (SPEC V5)."""

import pytest
from sqlalchemy import select

from app.conversations.tables import conversations
from app.errors import Refused
from app.matching.settled import is_open
from tests.edits.mending import effect, everything, mended, refused, undone
from tests.edits.test_remedies import GROUP, a_group, ids
from tests.ingesting import Site, connected, person, talk


async def still_open(site: Site) -> set[str]:
    c = conversations.c
    query = select(c.session_id).where(c.unmatched_reason.is_not(None), is_open(site.id))
    return {row.session_id for row in await site.rows(query)}


async def test_a_group_is_left_and_asked_about_again(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        before = await everything(site)
        seen = await effect(site, "leave", **GROUP)
        assert set(seen.ids) == set(ids(site, "a1", "a2", "b"))
        remedy_id = await mended(site, "leave", seen.digest, **GROUP)
        assert await still_open(site) == {"other", "nobody"}
        with pytest.raises(Refused, match="nothing to do"):
            await mended(site, "leave", ids=ids(site, "a1", "b"))
        assert await undone(site, remedy_id) == []
        assert await everything(site) == before
        assert await still_open(site) == {"a1", "a2", "b", "other", "nobody"}


async def test_those_without_an_address_are_left_as_a_group(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        remedy_id = await mended(site, "leave", reason="no_identity", domain="-")
        assert await still_open(site) == {"a1", "a2", "b", "other"}
        await site.take(talk("nobody too", at=8))
        assert "nobody too" in await still_open(site), "what comes later is a question of its own"
        assert await undone(site, remedy_id) == []


async def test_another_reason_is_another_question_and_an_older_word_is_not_taken_back(
    database_url: str,
) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        first = await mended(site, "leave", ids=ids(site, "a1", "b"))
        await site.take(
            person("one", email="ann@acme.example"), person("two", email="ann@acme.example")
        )
        assert (await site.conversation("a1")).unmatched_reason == "ambiguous_email"
        assert await still_open(site) == {"a1", "a2", "other", "nobody"}
        left = await everything(site)
        second = await mended(site, "leave", ids=ids(site, "a1"))
        assert "since then 1 conversation was left alone anew." in await refused(site, first)
        assert await undone(site, second) == []
        assert await everything(site) == left
        assert await undone(site, first) == []
        assert await still_open(site) == {"a1", "a2", "b", "other", "nobody"}


async def test_what_was_left_can_be_settled_otherwise(database_url: str) -> None:
    async with connected(database_url) as site:
        await a_group(site)
        left = await mended(site, "leave", **GROUP)
        seen = await effect(site, "create", ids=ids(site, "a1", "b"))
        made = await mended(site, "create", seen.digest, ids=ids(site, "a1", "b"))
        assert await site.owner("b") is not None
        assert await undone(site, made) == []
        assert await still_open(site) == {"other", "nobody"}
        assert await undone(site, left) == []
