"""The change feed as a program reads it (SPEC V7)."""

from datetime import timedelta
from typing import Any

from app import clock
from app.db.feed import drop_changes
from app.websites.connect import forget_website
from tests.api.conftest import OTHER, Api, some_rows
from tests.ingesting import WEBSITE, said


class Copy:
    """A program that keeps a copy by nothing but the feed."""

    def __init__(self, api: Api, token: str = "viewer", **params: Any) -> None:
        self.api, self.token, self.params = api, token, params
        self.cursor: str | None = None
        self.rows: dict[tuple[str, str, Any], Any] = {}
        self.told: list[tuple[str, str]] = []

    async def follow(self, limit: int = 100) -> None:
        more = True
        while more:
            place = {"cursor": self.cursor} if self.cursor else {}
            answer = await self.api.get(
                self.token, "/changes", params={"limit": limit, **place, **self.params}
            )
            assert answer.status_code == 200, answer.text
            told = answer.json()
            for change in told["data"]:
                key = (change["kind"], change["id"], change["fingerprint"])
                self.told.append((change["kind"], change["id"]))
                if change["deleted"]:
                    self.rows.pop(key, None)
                else:
                    self.rows[key] = change["data"]
            self.cursor, more = told["next_cursor"], told["has_more"]

    def of(self, kind: str) -> list[Any]:
        return sorted((row for key, row in self.rows.items() if key[0] == kind), key=str)


async def test_a_copy_by_the_feed_equals_the_lists(api: Api) -> None:
    copy = Copy(api)
    await some_rows(api.here, "acme")
    await copy.follow(limit=3)
    await some_rows(api.here, "bolt")
    await copy.follow(limit=1)
    await api.here.take(said("t1-acme", 1, "Where is my money??", 1, 20))
    await api.here.remove_person("bob-bolt", 30)
    await api.here.remove_talk("t2-acme", 30)
    await copy.follow()
    # A conversation holds its link as it was then; a change of the link alone is told by itself.
    links = {row["conversation_id"]: row for row in copy.of("link")}
    for row in copy.of("conversation"):
        row["link"] = links.get(row["id"], row["link"])
    lists = {"contact": "/contacts", "company": "/companies", "conversation": "/conversations"}
    for kind, path in lists.items():
        assert copy.of(kind) == sorted(await api.data("viewer", path), key=str), kind
    live = {row["id"] for row in copy.of("conversation")}
    assert [m for m in copy.of("message") if m["conversation_id"] in live] == sorted(
        [m for m in await api.data("viewer", "/messages") if m["conversation_id"] in live], key=str
    )
    before = len(copy.told)
    await copy.follow()
    assert len(copy.told) == before, "each change once for a cursor"


async def test_notes_are_told_only_where_they_are_asked_for(api: Api) -> None:  # SPEC C6
    await some_rows(api.here, "acme")
    quiet, curious = Copy(api), Copy(api, include="notes")
    await quiet.follow()
    await curious.follow()
    assert {m["type"] for m in quiet.of("message")} == {"text"}
    assert {m["type"] for m in curious.of("message")} == {"text", "note"}


async def test_all_websites_of_the_token_and_no_other(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    one, both, none = Copy(api), Copy(api, "viewer-all"), Copy(api, "viewer-none")
    named = Copy(api, "viewer-all", website=OTHER)
    for copy in (one, both, none, named):
        await copy.follow(limit=5)
    assert {row["website_id"] for row in one.rows.values()} == {WEBSITE}
    assert {row["website_id"] for row in both.rows.values()} == {WEBSITE, OTHER}
    assert {row["website_id"] for row in named.rows.values()} == {OTHER}
    assert none.rows == {}
    # A cursor gives no right: what it names beyond the token's websites is left out.
    one.cursor, one.rows = both.cursor, {}
    await some_rows(api.there, "coil")
    await one.follow()
    assert one.rows == {}


async def test_from_now_on(api: Api) -> None:
    await some_rows(api.here, "acme")
    answer = (await api.get("viewer", "/changes?since=now")).json()
    assert (answer["data"], answer["has_more"]) == ([], False)
    copy = Copy(api)
    copy.cursor = answer["next_cursor"]
    await api.here.take(said("t1-acme", 9, "News", 9))
    await copy.follow()
    assert [kind for kind, _ in copy.told] == ["conversation", "message"]


async def test_an_old_cursor_is_told_what_to_do(api: Api) -> None:
    await some_rows(api.here, "acme")
    first = (await api.get("viewer", "/changes?limit=1")).json()["next_cursor"]
    async with api.here.db.write() as connection:
        await drop_changes(connection, clock.now() + timedelta(minutes=1))
    gone = await api.get("viewer", "/changes", params={"cursor": first})
    assert gone.status_code == 410
    assert "since=now" in gone.json()["detail"]


async def test_an_erased_website_is_told_once(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    copy = Copy(api, "viewer-all")
    await copy.follow()
    await forget_website(api.here.db, OTHER)
    await copy.follow()
    await copy.follow()
    assert [id_ for kind, id_ in copy.told if kind == "website"] == [OTHER]
