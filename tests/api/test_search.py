"""Searching over the API finds what the page's search finds, but private notes only where they are asked for."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import update

from app.conversations.tables import messages
from app.records import conversation_id
from tests.api.conftest import OTHER, Api, some_rows
from tests.api.test_door import is_problem
from tests.ingesting import WEBSITE, person, said, talk


async def hits(api: Api, q: str, token: str = "viewer", **params: Any) -> list[dict[str, Any]]:
    answer = await api.get(token, "/search", params={"q": q, **params})
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["data"]
    return found


async def test_one_word_finds_each_kind_and_every_hit_leads_to_its_record(api: Api) -> None:
    await some_rows(api.here, "acme")
    early = "Before the word that matters comes a long letter. " * 20
    await api.here.take(said("t2-acme", 9, f"{early}The ACME parcel\nhas arrived. {early}", 9))
    found = await hits(api, "acm")
    assert [one["kind"] for one in found] == [
        "contact", "contact", "company",
        "conversation", "conversation", "message",
    ]  # fmt: skip
    (company,) = [one for one in found if one["kind"] == "company"]
    assert (company["title"], company["excerpt"]) == ("acme Ltd", "acme Ltd · acme.example")
    said_it = found[-1]
    assert (said_it["id"], said_it["fingerprint"]) == (conversation_id(WEBSITE, "t2-acme"), 9)
    assert "The ACME parcel has arrived." in said_it["excerpt"]
    assert said_it["excerpt"].startswith("… ")
    assert said_it["excerpt"].endswith(" …")
    assert len(said_it["excerpt"]) < 200
    for one in found:
        record = await api.get("viewer", one["url"].removeprefix("/api/v1"))
        assert record.status_code == 200, one["url"]
        assert record.json().get("id", record.json().get("conversation_id")) == one["id"]
    talks = {one["title"]: one for one in found if one["kind"] == "conversation"}
    assert set(talks) == {"Refund 100%", None}
    assert talks["Refund 100%"]["at"] == "2026-03-02T09:00:00.000Z"


async def test_every_word_has_to_be_there(api: Api) -> None:
    await some_rows(api.here, "acme")
    assert [one["title"] for one in await hits(api, "ann 1+1", kinds="contacts")] == ["Ann =1+1"]
    assert [one["kind"] for one in await hits(api, "WHERE money")] == ["message"]
    assert await hits(api, "money acme") == []
    assert await hits(api, "oney") == [], "a word is found by how it begins"
    assert await hits(api, "%") == await hits(api, " - ") == []


async def test_notes_are_found_only_where_they_are_asked_for(api: Api) -> None:  # SPEC C6
    await some_rows(api.here, "acme")
    for role in ("viewer", "member", "admin"):
        assert await hits(api, "bug", role) == []
        (note,) = await hits(api, "known bug", role, include="notes")
        assert (note["private"], note["excerpt"]) == (True, "Known bug")
        assert (await api.get(role, note["url"].removeprefix("/api/v1"))).json()["type"] == "note"
        assert await api.data(role, "/conversations", text="bug") == []
        (of_it,) = await api.data(role, "/conversations", text="bug", include="notes")
        assert of_it["session_id"] == "t1-acme"
    # A note does not hide the newest message that anybody may read.
    await api.here.take(
        said("t1-acme", 4, "A bug, you say?", 4),
        said("t1-acme", 5, "The bug again", 5, sent_by="operator", type="note"),
    )
    (open_one,) = await hits(api, "bug")
    assert (open_one["fingerprint"], open_one["private"]) == (4, False)
    assert (await hits(api, "bug", include="notes"))[0]["fingerprint"] == 5


async def test_what_was_removed_is_not_found(api: Api) -> None:
    await some_rows(api.here, "acme")
    await api.here.remove_person("ann-acme", 10)
    await api.here.remove_talk("t1-acme", 10)
    m = messages.c
    gone = (m.conversation_id == conversation_id(WEBSITE, "t2-acme")) & (m.fingerprint == 1)
    await api.here.execute(update(messages).where(gone).values(deleted_at=m.sent_at))
    assert await hits(api, "ann", kinds="contacts") == []
    assert await hits(api, "refund") == await hits(api, "money", include="notes") == []
    assert await hits(api, "hyperlink") == []
    assert await api.data("viewer", "/conversations", text="hyperlink") == []


async def test_another_website_is_not_searched(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    for role in ("viewer", "member", "admin"):
        assert await hits(api, "bolt", role) == []
        texts = {one["id"] for one in await hits(api, "money", role)}
        assert texts == {conversation_id(WEBSITE, "t1-acme")}
        is_problem(await api.get(role, f"/search?q=bolt&website={OTHER}"), 404)
        is_problem(await api.get(f"{role}-none", "/search?q=bolt"), 422)
        unclear = await api.get(f"{role}-all", "/search?q=bolt")
        assert "?website=ID" in is_problem(unclear, 422)
        theirs = await hits(api, "bolt", f"{role}-all", website=OTHER)
        assert {one["kind"] for one in theirs} == {"contact", "company", "conversation"}


async def test_more_names_the_kinds_whose_lists_go_on(api: Api) -> None:
    await some_rows(api.here, "acme")
    await api.here.take(*(person(f"p{n}", email=f"p{n}@acme.example") for n in range(3)))
    await api.here.take(
        *(talk(f"more{n}", at=20 + n) for n in range(3)),
        *(said(f"more{n}", 1, f"Money, part {n}", 20 + n) for n in range(3)),
    )
    answer = (await api.get("viewer", "/search?q=acme&limit=2")).json()
    assert [one["kind"] for one in answer["data"]] == [
        *["contact"] * 2, "company", *["conversation"] * 2,
    ]  # fmt: skip
    assert answer["more"] == ["contacts"]
    assert len(await api.data("viewer", "/contacts", q="acme", limit=2)) == 5
    money = (await api.get("viewer", "/search?q=money&limit=2&kinds=messages")).json()
    assert [one["excerpt"] for one in money["data"]] == ["Money, part 2", "Money, part 1"]
    assert money["more"] == ["messages"]
    whole = await api.data("viewer", "/conversations", text="money", sort="-updated_at", limit=1)
    assert [one["session_id"] for one in whole] == ["more2", "more1", "more0", "t1-acme"]
    both = await hits(api, "acme", kinds=["companies", "messages"])
    assert [one["kind"] for one in both] == ["company"]


async def test_conversations_by_text_page_through_what_changes(api: Api) -> None:
    for n in range(4):
        await api.here.take(talk(f"t{n}", at=n), said(f"t{n}", 1, "A parcel", n))

    async def somebody_writes() -> None:
        """Another one that fits, newer; one that was shown is updated; one still to come stays."""
        await api.here.take(talk("new", at=30), said("new", 1, "Another parcel", 30))
        await api.here.take(talk("t3", at=31), said("t3", 2, "Thanks", 31))

    told = await api.data_around(
        somebody_writes, "viewer", "/conversations", text="parcel", sort="-updated_at", limit=2
    )
    assert [one["session_id"] for one in told] == ["t3", "t2", "t1", "t0"]


@pytest.mark.parametrize(
    "wrong",
    ["", "q=", "q=%00", f"q={'x' * 201}", "q=a&kinds=everything", "q=a&limit=0", "q=a&limit=51",
     "q=a&include=secrets"],
)  # fmt: skip
async def test_what_a_search_does_not_understand_is_a_problem(api: Api, wrong: str) -> None:
    is_problem(await api.get("viewer", f"/search?{wrong}"), 422)


async def test_a_search_has_an_etag_and_its_list_a_cursor_of_its_own(api: Api) -> None:
    empty = await api.get("viewer", "/search?q=acme")
    assert empty.json() == {"data": [], "more": [], "next_cursor": None}
    await some_rows(api.here, "acme")
    first = await api.get("viewer", "/search?q=acme")
    same = {"If-None-Match": first.headers["etag"]}
    assert (await api.get("viewer", "/search?q=acme", headers=same)).status_code == 304
    await api.here.take(person("cleo", email="cleo@acme.example"))
    assert (await api.get("viewer", "/search?q=acme", headers=same)).status_code == 200
    await api.here.take(said("t3-acme", 1, "Where is it?", 8))
    page = (await api.get("viewer", "/conversations?text=where&limit=1")).json()
    cursor = page["next_cursor"]
    for other in ("text=money", "text=where&include=notes", "q=where"):
        is_problem(await api.get("viewer", f"/conversations?{other}&cursor={cursor}"), 400)
    is_problem(await api.get("viewer", "/conversations?text=%00"), 422)
    assert await api.data("viewer", "/conversations", text="!?") == []


async def test_a_file_of_conversations_is_narrowed_by_text_as_the_list_is(api: Api) -> None:
    await some_rows(api.here, "acme")
    path = "/exports/conversations?format=jsonl&text=known"
    assert (await api.get("viewer", path)).text == ""
    told = (await api.get("viewer", f"{path}&include=notes")).text.splitlines()
    assert len(told) == 1
    assert "t1-acme" in told[0]
    is_problem(await api.get("viewer", "/exports/contacts?text=known"), 422)
