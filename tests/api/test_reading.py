"""What the API shows (SPEC V7), page by page, and what it does not show."""

import pytest

from app.records import conversation_id
from tests.api.conftest import OTHER, Api, some_rows
from tests.ingesting import WEBSITE, person


async def test_each_noun(api: Api) -> None:
    await some_rows(api.here, "acme")
    (website,) = await api.data("viewer", "/websites")
    assert (website["id"], website["name"]) == (WEBSITE, "Acme Chat")
    people = {row["email"]: row for row in await api.data("viewer", "/contacts")}
    ann = people["Ann@acme.example"]
    assert ann["addresses"] == [{"email": "ann@acme.example", "primary": True, "source": "crisp"}]
    assert [link["company_name"] for link in ann["companies"]] == ["acme Ltd"]
    (company,) = await api.data("viewer", "/companies")
    assert (company["domains"], company["names"]) == (["acme.example"], ["acme ltd"])
    talks = {row["session_id"]: row for row in await api.data("viewer", "/conversations")}
    first = talks["t1-acme"]
    assert first["link"]["contact_id"] == ann["id"]
    assert first["link"]["company_ids"] == [company["id"]]
    assert first["link"]["rule"] == "people_id"
    assert first["created_at"].endswith("Z")
    (lost,) = await api.data("viewer", "/unmatched")
    assert lost["link"]["unmatched_reason"] == "unknown_email"
    reasons = await api.get("viewer", "/unmatched/reasons")
    assert reasons.json()["data"] == [{"reason": "unknown_email", "conversations": 1}]
    for path, row in (("contacts", ann), ("companies", company), ("conversations", first)):
        one = await api.get("viewer", f"/{path}/{row['id']}")
        assert one.json() == row


async def test_notes_only_where_they_are_asked_for(api: Api) -> None:  # SPEC C6
    await some_rows(api.here, "acme")
    thread = f"/conversations/{conversation_id(WEBSITE, 't1-acme')}/messages"
    assert [m["body"] for m in await api.data("viewer", thread)] == [
        "Where is my money?", "On its way",
    ]  # fmt: skip
    with_notes = await api.data("viewer", thread, include="notes", limit=1)
    assert [m["type"] for m in with_notes] == ["text", "note", "text"]
    assert len(await api.data("viewer", "/messages")) == 3
    assert len(await api.data("viewer", "/messages", include="notes", limit=1)) == 4
    assert (await api.get("viewer", f"{thread}/2")).status_code == 404
    assert (await api.get("viewer", f"{thread}/2?include=notes")).json()["body"] == "Known bug"


@pytest.mark.parametrize(
    ("path", "params", "count"),
    [
        ("/contacts", {"q": "ANN 1+1"}, 1),
        ("/contacts", {"email": "  BOB@ACME.example"}, 1),
        ("/contacts", {"email": "%"}, 0),
        ("/contacts", {"source": "csv"}, 0),
        ("/contacts", {"deleted": "yes"}, 0),
        ("/companies", {"domain": "https://www.ACME.example/x"}, 1),
        ("/companies", {"q": "acm_"}, 0),
        ("/conversations", {"q": "100%"}, 1),
        ("/conversations", {"status": "resolved"}, 1),
        ("/conversations", {"updated_since": "2026-03-02T09:05:00Z"}, 2),
        ("/conversations", {"company": "nobody"}, 0),
        ("/unmatched", {"reason": "denied"}, 0),
    ],
)
async def test_filters(api: Api, path: str, params: dict[str, str], count: int) -> None:
    await some_rows(api.here, "acme")
    assert len(await api.data("viewer", path, **params)) == count


async def test_every_order_pages_through_everything_once(api: Api) -> None:
    for name in ("acme", "bolt", "coil"):
        await some_rows(api.here, name)
    for path, sorts in (
        ("/contacts", ("id", "last_active_at", "-signed_up_at")),
        ("/companies", ("id", "name", "-created_at")),
        ("/conversations", ("id", "updated_at", "-created_at")),
    ):
        for sort in sorts:
            whole = await api.data("viewer", path, sort=sort)
            paged = await api.data("viewer", path, sort=sort, limit=2)
            assert paged == whole, (path, sort)
            assert len({row["id"] for row in whole}) == len(whole) >= 3


async def test_what_is_removed_is_shown_as_removed(api: Api) -> None:
    await some_rows(api.here, "acme")
    await api.here.remove_person("ann-acme", 10)
    await api.here.remove_talk("t1-acme", 10)
    (gone,) = await api.data("viewer", "/contacts", deleted="yes")
    assert gone["deleted_at"] is not None
    assert len(await api.data("viewer", "/contacts", deleted="any")) == 2
    own = conversation_id(WEBSITE, "t1-acme")
    assert (await api.get("viewer", f"/conversations/{own}")).json()["deleted_at"] is not None
    assert len(await api.data("viewer", "/conversations")) == 2


async def test_several_websites_one_must_be_named(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    unclear = await api.get("viewer-all", "/contacts")
    assert unclear.status_code == 422
    assert "?website=ID" in unclear.json()["detail"]
    for website_id, name in ((WEBSITE, "acme"), (OTHER, "bolt")):
        found = await api.data("viewer-all", "/companies", website=website_id)
        assert [row["name"] for row in found] == [f"{name} Ltd"]
        # By its id it is found in either.
        one = await api.get("viewer-all", f"/companies/{found[0]['id']}")
        assert one.json()["website_id"] == website_id


async def test_an_etag_saves_an_answer(api: Api) -> None:
    await some_rows(api.here, "acme")
    for path in ("/websites", "/contacts", "/conversations", "/unmatched/reasons"):
        first = await api.get("viewer", path)
        again = await api.get("viewer", path, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert first.headers["cache-control"] == "private, no-cache"
    await api.here.take(person("cleo", email="cleo@acme.example"))
    first = await api.get("viewer", "/contacts", headers={"If-None-Match": '"old", W/"older"'})
    assert first.status_code == 200


async def test_a_cursor_belongs_to_its_list(api: Api) -> None:
    for name in ("acme", "bolt"):
        await some_rows(api.here, name)
    page = (await api.get("viewer", "/contacts?limit=2")).json()
    cursor = page["next_cursor"]
    assert (await api.get("viewer", f"/contacts?cursor={cursor}")).status_code == 200
    changed = cursor[:-2] + ("AA" if cursor[-2:] != "AA" else "BB")
    for path in (
        f"/contacts?cursor={changed}",
        f"/contacts?cursor={cursor}&q=ann",
        f"/contacts?cursor={cursor}&sort=-signed_up_at",
        f"/companies?cursor={cursor}",
        f"/conversations?cursor={cursor}",
        f"/messages?cursor={cursor}",
        f"/events?cursor={cursor}",
        f"/changes?cursor={cursor}",
        "/contacts?cursor=%00", "/contacts?cursor=", "/messages?cursor=é", "/changes?cursor=x",
    ):  # fmt: skip
        answer = await api.get("viewer", path)
        assert answer.status_code == 400, path
        assert "next_cursor" in answer.json()["detail"]
