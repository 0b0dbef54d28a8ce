"""An import taken back after others went on working: all is as before but for what they did (SPEC I10, D7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from app.companies.tables import companies
from app.edits.links import decide_link
from tests.edits.by_hand import edited, edited_company
from tests.imports.crowd import COLUMNS, FILES, MODES, SEGMENT_FOR_ALL, SOME, crowd
from tests.imports.importing import MEMBER, Importing, differences, importing
from tests.ingesting import person

AVATAR = "https://x.example/face.png"
Told = dict[str, list[dict[str, Any]]]


@pytest_asyncio.fixture
async def site(database_url: str, tmp_path: Path) -> AsyncIterator[Importing]:
    async with importing(database_url, tmp_path) as opened:
        yield opened


@SOME
@given(file=FILES, mode=MODES, segment=SEGMENT_FOR_ALL)
async def test_all_is_as_before_when_nobody_did_anything(
    site: Importing, file: str, mode: str, segment: str
) -> None:
    await crowd(site)
    before = await site.everything()
    done = await site.run(file, mode, columns=COLUMNS, segment=segment)
    undone = await site.undo(done.id)
    assert (undone.counts.get("kept", 0), undone.counts["kept_companies"]) == (0, 0)
    assert differences(before, await site.everything()) == []


@SOME
@given(
    file=FILES, mode=MODES, segment=SEGMENT_FOR_ALL,
    avatars=st.booleans(), renames=st.booleans(), pins=st.booleans(),
)  # fmt: skip
async def test_all_is_as_before_but_for_what_others_did_meanwhile(
    site: Importing, file: str, mode: str, segment: str, *, avatars: bool, renames: bool, pins: bool
) -> None:
    await crowd(site)
    before = await site.everything()
    done = await site.run(file, mode, columns=COLUMNS, segment=segment)
    wrote = {n: row for n, row in (await site.lines(done.id)).items() if row.state == "applied"}
    made = {row.contact_id for row in wrote.values() if row.outcome == "create"}
    await beside(site)
    given = {row.contact_id for row in wrote.values()} if avatars else set()
    for contact_id in sorted(given):
        await edited(site, contact_id, avatar=AVATAR)
    renamed = await rename_all(site) if renames else {}
    pinned = next(iter(sorted(made)), None) if pins else None
    if pinned is not None:
        await pin(site, pinned)
    undone = await site.undo(done.id)

    after = await site.everything()
    kept = made & ({*given} | {pinned})
    assert_contacts(before, after, given, kept)
    assert_told(await site.lines(done.id), wrote, kept)
    assert undone.counts.get("kept", 0) == len(kept)
    assert_companies(before, after, renamed)
    stays = {row["id"] for row in after["companies"]} - {row["id"] for row in before["companies"]}
    if stays:
        assert undone.counts["kept_companies"] >= len(stays)
        assert "was changed since and stays" in undone.error
    talks = {row["session_id"]: row["contact_id"] for row in after["conversations"]}
    for row in before["conversations"]:
        if row["session_id"] != "of-by":
            assert talks[row["session_id"]] == row["contact_id"] or talks[row["session_id"]] in kept
    assert talks["of-by"] == (pinned or the(before, "by")["id"])


async def beside(site: Importing) -> None:
    """Of people whom no file names: one edited, one new in Crisp."""
    await edited(site, (await site.contact("by")).id, phone="+34651000000")
    await site.take(person("later", email="later@x.example", segments=["own"]))


async def rename_all(site: Importing) -> dict[str, str]:
    rows = await site.rows(select(companies.c.id, companies.c.name))
    for row in rows:
        await edited_company(site, row.id, name=f"{row.name} by hand")
    return {row.id: f"{row.name} by hand" for row in rows}


async def pin(site: Importing, contact_id: str) -> None:
    talk = (await site.conversation("of-by")).id
    act = partial(
        decide_link, website_id=site.id, conversation_id=talk, contact_id=contact_id,
        decision="pin", actor=MEMBER,
    )  # fmt: skip
    async with site.db.write() as connection:
        await act(connection)


def the(told: Told, people_id: str) -> dict[str, Any]:
    return next(row for row in told["contacts"] if row["crisp_people_id"] == people_id)


def assert_contacts(before: Told, after: Told, given: set[str], kept: set[str]) -> None:
    by, later = the(after, "by"), the(after, "later")
    assert (by["phone"], by["field_sources"]["phone"]["source"]) == ("+34651000000", "manual")
    assert later["segment_sources"] == {"own": ["crisp"]}
    known = {row["id"]: row for row in before["contacts"]}
    assert {row["id"] for row in after["contacts"]} == {*known, later["id"], *kept}
    for row in after["contacts"]:
        if row["id"] in {by["id"], later["id"]}:
            continue
        sources = dict(row["field_sources"])
        if row["id"] in given:
            assert (row["avatar"], sources.pop("avatar")["source"]) == (AVATAR, "manual")
        if row["id"] in known:
            was = known[row["id"]]
            assert {**row, "avatar": was["avatar"], "field_sources": sources} == was
        else:
            # Nothing of the file is left but whose contact it is.
            left = (row["name"], row["phone"], row["attributes"], row["segments"], sources)
            assert left == (None, None, {}, [], {})
    addresses = {(row["contact_id"], row["email_norm"]) for row in after["contact_emails"]}
    were = {(row["contact_id"], row["email_norm"]) for row in before["contact_emails"]}
    assert {one for one, _ in addresses - were} == {later["id"], *kept}
    links = {row["id"]: row for row in after["contact_companies"]}
    assert links == {row["id"]: row for row in before["contact_companies"]}


def assert_told(lines: dict[int, Any], wrote: dict[int, Any], kept: set[str]) -> None:
    for line, row in wrote.items():
        now = lines[line]
        if row.outcome == "create" and row.contact_id in kept:
            codes = {problem["code"] for problem in now.problems}
            assert now.state == "kept"
            assert codes & {"contact_changed", "decided"}
        else:
            assert now.state == "undone"


def assert_companies(before: Told, after: Told, renamed: dict[str, str]) -> None:
    known = {row["id"]: row for row in before["companies"]}
    now = {row["id"]: row for row in after["companies"]}
    assert set(known) <= set(now)
    for own_id, row in now.items():
        if own_id not in renamed:
            assert row == known[own_id]
        else:
            assert row["name"] == renamed[own_id]
            assert row["field_sources"]["name"]["source"] == "manual"
    assert set(now) - set(known) <= set(renamed), "a company that nobody touched goes"
