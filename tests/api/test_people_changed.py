"""Contacts and companies made, changed, deleted and restored by programs (SPEC V7, M8, D6, D7)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import insert, select

from app.accounts.tables import audit_log
from app.conversations.tables import operators
from tests.api.conftest import OTHER, Api, some_rows
from tests.api.test_changes import Copy
from tests.ingesting import WEBSITE, person


async def made(api: Api, path: str = "/contacts", **fields: Any) -> dict[str, Any]:
    answer = await api.ask("member", "POST", path, json=fields)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def an_operator(api: Api) -> None:
    row = {"website_id": WEBSITE, "user_id": "op-1", "name": "Mira"}
    await api.here.execute(insert(operators).values(row))


async def audited(api: Api, subject_id: str) -> list[str]:
    query = select(audit_log.c.action).where(audit_log.c.subject_id == subject_id)
    return [row.action for row in await api.here.rows(query.order_by(audit_log.c.at))]


async def test_a_contact_is_made_and_takes_its_conversations(api: Api) -> None:
    await some_rows(api.here, "acme")
    await an_operator(api)
    assert await api.data("viewer", "/operators") == [{"id": "op-1", "name": "Mira"}]
    copy = Copy(api)
    await copy.follow()
    body = {
        "name": "Who  Ever",
        "emails": ["Who@acme.example", "who@home.example"],
        "phone": "+34 600 11 22 33",
        "signed_up_at": "2026-01-31T09:00:00Z",
        "segments": ["vip", "trial"],
        "owner_id": "op-1",
        "attributes": {"job_title": "Buyer", "country": "France", "plan": "gold"},
        "joins": [{"name": "acme Ltd", "since": "2026-01-31", "main": True}],
    }
    assert (await api.ask("viewer", "POST", "/contacts", json=body)).status_code == 403
    answer = await api.ask("member", "POST", "/contacts", json=body)
    assert answer.status_code == 201, answer.text
    who = answer.json()
    assert answer.headers["location"] == f"/api/v1/contacts/{who['id']}"
    assert (who["name"], who["email"], who["phone"]) == (
        "Who Ever", "Who@acme.example", "+34600112233",
    )  # fmt: skip
    assert [a["email"] for a in who["addresses"]] == ["who@acme.example", "who@home.example"]
    assert (who["source"], who["owner"]) == ("api", {"id": "op-1", "name": "Mira"})
    assert who["signed_up_at"] == "2026-01-31T09:00:00.000Z"
    assert who["segments"] == ["trial", "vip"]
    assert who["attributes"]["country"] == "FR"
    assert who["attributes"]["plan"] == "gold"
    assert [one["company_name"] for one in who["companies"]] == ["acme Ltd"]
    assert await api.data("viewer", "/unmatched") == [], "t3 waited for this address"
    assert [row["id"] for row in await api.data("viewer", "/contacts", segment="trial")] == [
        who["id"]
    ]
    assert await audited(api, who["id"]) == ["contact.created"]
    await copy.follow()
    assert who["id"] in {row["id"] for row in copy.of("contact")}


async def test_a_post_is_done_once(api: Api) -> None:
    once = {"headers": {"Idempotency-Key": "new-ann"}, "json": {"name": "Ann"}}
    first, again = [await api.ask("member", "POST", "/contacts", **once) for _ in range(2)]
    assert (first.status_code, first.text) == (again.status_code, again.text)
    assert again.headers["idempotent-replayed"] == "true"
    assert len(await api.data("viewer", "/contacts")) == 1


@pytest.mark.parametrize(
    ("body", "field", "words"),
    [
        ({}, "body.name", "needs a name"),
        ({"emails": ["no address"]}, "body.emails", "E-mail"),
        ({"name": "A", "attributes": {"country": "Atlantis"}}, "body.attributes.country", "Country"),
        ({"name": "A", "attributes": {"$ltv": 1}}, "body.attributes", "$ltv"),
        ({"name": "A", "attributes": {"company_name": "B"}}, "body.attributes.company_name", "main_"),
        ({"name": "A", "attributes": {"deep": {"a": 1}}}, "body.attributes.deep", ""),
        ({"name": "A", "owner_id": "nobody"}, "body.owner_id", "operators"),
        ({"name": "A", "joins": [{}]}, "body.joins", "company"),
        ({"name": "A", "signed_up_at": "2026-01-31T09:00:00"}, "body.signed_up_at", "timezone"),
        ({"name": "A", "colour": "red"}, "body.colour", ""),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_named_and_nothing_is_made(
    api: Api, body: dict[str, Any], field: str, words: str
) -> None:
    answer = await api.ask("member", "POST", "/contacts", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["errors"][0]["field"].startswith(field)
    assert words in told["detail"] + told["errors"][0]["message"]
    assert await api.data("viewer", "/contacts", deleted="any") == []


async def test_an_address_that_another_has_is_told_with_whose_it_is(api: Api) -> None:
    await some_rows(api.here, "acme")
    ann = (await api.here.contact("ann-acme")).id
    taken = await api.ask("member", "POST", "/contacts", json={"emails": ["ANN@acme.example"]})
    assert taken.status_code == 409, taken.text
    assert taken.json()["holder"] == ann


async def test_a_change_says_what_it_has_seen(api: Api) -> None:
    told_by_crisp = {"nickname": "Ann", "employment": {"title": "Seller"}}
    await api.here.take(person("ann", email="ann@acme.example", person=told_by_crisp))
    path = f"/contacts/{(await api.here.contact('ann')).id}"
    seen = (await api.get("viewer", path)).headers["etag"]
    match = {"headers": {"If-Match": seen}}
    body = {"phone": "+34600112233", "attributes": {"job_title": "Buyer"}}
    done = await api.ask("member", "PATCH", path, json=body, **match)
    assert done.status_code == 200, done.text
    assert done.json()["phone"] == "+34600112233"
    assert done.headers["etag"] == (await api.get("viewer", path)).headers["etag"] != seen
    late = await api.ask("member", "PATCH", path, json={"phone": None}, **match)
    assert late.status_code == 412, late.text
    assert "read it again" in late.json()["detail"]
    assert (await api.ask("member", "DELETE", path, **match)).status_code == 412
    assert (await api.ask("member", "POST", f"{path}/restore", **match)).status_code == 412
    now = (await api.get("viewer", path)).json()
    assert (now["phone"], now["deleted_at"]) == ("+34600112233", None)
    # It stays until Crisp itself says something else than before (SPEC D7).
    await api.here.take(
        person("ann", 30, email="ann@acme.example", person={**told_by_crisp, "nickname": "Ann B"})
    )
    now = (await api.get("viewer", path)).json()
    assert now["attributes"]["job_title"] == "Buyer"
    told = (await api.get("viewer", f"{path}/overridden")).json()["data"]
    assert {"field": "attributes.job_title", "crisp": "Seller"} in told
    follow = {"follow_crisp": ["attributes.job_title"]}
    back = await api.ask("member", "PATCH", path, json=follow)
    assert back.json()["attributes"]["job_title"] == "Seller"
    assert (await api.get("viewer", f"{path}/overridden")).json()["data"] != told


async def test_of_two_that_saw_the_same_one_wins(api: Api) -> None:
    ann = await made(api, name="Ann")
    seen = (await api.get("viewer", f"/contacts/{ann['id']}")).headers["etag"]
    answers = await asyncio.gather(
        *(
            api.ask("member", "PATCH", f"/contacts/{ann['id']}", json={"name": f"Ann {n}"},
                    headers={"If-Match": seen})
            for n in range(4)
        )
    )  # fmt: skip
    assert sorted(one.status_code for one in answers) == [200, 412, 412, 412]


async def test_what_is_the_same_changes_nothing(api: Api) -> None:
    ann = await made(api, name="Ann", emails=["ann@x.example"], signed_up_at="2026-01-31T09:00:07Z")
    same = {"name": "Ann", "emails": ["ann@x.example"], "signed_up_at": ann["signed_up_at"],
            "segments": [], "attributes": {"plan": None}}  # fmt: skip
    done = await api.ask("member", "PATCH", f"/contacts/{ann['id']}", json=same)
    assert done.json() == ann
    assert await audited(api, ann["id"]) == ["contact.created"]


async def test_companies_of_a_contact(api: Api) -> None:
    ann = await made(api, name="Ann", joins=[{"name": "Acme"}, {"domain": "bolt.example"}])
    acme, bolt = sorted(ann["companies"], key=lambda one: one["company_name"])
    path = f"/contacts/{ann['id']}"
    body = {
        "memberships": [{"id": acme["id"], "until": "2036-06-30T10:00:00Z"}],
        "main_company_id": bolt["company_id"],
    }
    done = await api.ask("member", "PATCH", path, json=body)
    assert done.status_code == 200, done.text
    until = {one["company_name"]: one["until"] for one in done.json()["companies"]}
    assert until == {"Acme": "2036-06-30T10:00:00.000Z", "bolt.example": None}
    assert done.json()["attributes"]["company_name"] == "bolt.example"
    still = await api.ask(
        "member", "PATCH", path, json={"memberships": [{"id": acme["id"], "until": None}]}
    )
    assert {one["until"] for one in still.json()["companies"]} == {None}
    gone = {"memberships": [{"id": acme["id"], "gone": True}]}
    after = await api.ask("member", "PATCH", path, json=gone)
    assert [one["company_name"] for one in after.json()["companies"]] == ["bolt.example"]
    assert (await api.ask("member", "PATCH", path, json=gone)).status_code == 404


async def test_segments_are_added_and_removed_whatever_else_changes(api: Api) -> None:
    ann = await made(api, name="Ann", segments=["a"])
    path = f"/contacts/{ann['id']}/segments"
    added = [api.ask("member", "POST", path, json={"add": [f"s{n}"]}) for n in range(5)]
    assert {one.status_code for one in await asyncio.gather(*added)} == {200}
    done = await api.ask("member", "POST", path, json={"add": ["b"], "remove": ["a", "none"]})
    assert done.json()["segments"] == ["b", "s0", "s1", "s2", "s3", "s4"]


async def test_deleted_and_restored(api: Api) -> None:
    await some_rows(api.here, "acme")
    ann, bob = [(await api.here.contact(f"{name}-acme")).id for name in ("ann", "bob")]
    assert (await api.ask("viewer", "DELETE", f"/contacts/{ann}")).status_code == 403
    gone = await api.ask("member", "DELETE", f"/contacts/{ann}")
    assert gone.status_code == 200
    assert gone.json()["deleted_at"] is not None
    assert await api.data("viewer", "/conversations", contact=ann) == []
    change = await api.ask("member", "PATCH", f"/contacts/{ann}", json={"name": "X"})
    assert change.status_code == 422
    assert "restore" in change.json()["detail"]
    back = await api.ask("member", "POST", f"/contacts/{ann}/restore")
    assert back.json()["deleted_at"] is None
    assert len(await api.data("viewer", "/conversations", contact=ann)) == 1
    nobody = await api.ask("member", "POST", "/contacts/delete", json={"ids": [ann, "nobody"]})
    assert nobody.status_code == 404
    assert len(await api.data("viewer", "/contacts")) == 2, "all or none"
    both = await api.ask("member", "POST", "/contacts/delete", json={"ids": [ann, bob, ann]})
    assert both.json() == {"deleted": 2}
    assert await api.data("viewer", "/contacts") == []
    assert await audited(api, ann) == ["contact.deleted", "contact.restored", "contact.deleted"]


async def test_another_websites_contact_is_not_there(api: Api) -> None:
    await some_rows(api.there, "bolt")
    theirs = (await api.there.contact("ann-bolt")).id
    for method, path, body in (
        ("PATCH", f"/contacts/{theirs}", {"name": "X"}),
        ("DELETE", f"/contacts/{theirs}", None),
        ("POST", f"/contacts/{theirs}/restore", None),
        ("POST", f"/contacts/{theirs}/segments", {"add": ["x"]}),
        ("POST", "/contacts/delete", {"ids": [theirs]}),
        ("GET", f"/contacts/{theirs}/overridden", None),
        ("POST", f"/contacts?website={OTHER}", {"name": "X"}),
        ("PATCH", "/contacts/%00", {"name": "X"}),
        ("PATCH", "/companies/%00", {"name": "X"}),
        ("POST", f"/companies?website={OTHER}", {"name": "X"}),
    ):
        answer = await api.ask("member", method, path, json=body)
        assert answer.status_code == 404, (method, path, answer.text)
    assert len(await api.data("viewer-all", "/contacts", website=OTHER)) == 2


async def test_a_company_is_made_changed_deleted_and_restored(api: Api) -> None:
    await an_operator(api)
    body = {"name": "Acme", "domain": "acme.example", "names": ["Acme Inc"], "owner_id": "op-1",
            "attributes": {"plan": "gold"}}  # fmt: skip
    assert (await api.ask("viewer", "POST", "/companies", json=body)).status_code == 403
    acme = await made(api, "/companies", **body)
    assert (acme["domains"], acme["names"]) == (["acme.example"], ["acme", "acme inc"])
    assert (acme["owner"], acme["attributes"]) == ({"id": "op-1", "name": "Mira"}, {"plan": "gold"})
    path = f"/companies/{acme['id']}"
    seen = (await api.get("viewer", path)).headers["etag"]
    change = {"domains": [*acme["domains"], "acme.test"], "owner_id": None}
    done = await api.ask("member", "PATCH", path, json=change, headers={"If-Match": seen})
    assert done.status_code == 200, done.text
    assert (done.json()["domains"], done.json()["owner"]) == (["acme.example", "acme.test"], None)
    late = await api.ask("member", "PATCH", path, json={"name": "X"}, headers={"If-Match": seen})
    assert late.status_code == 412
    taken = await api.ask("member", "POST", "/companies", json={"name": "B", "domain": "acme.test"})
    assert (taken.status_code, taken.json()["holder"]) == (409, acme["id"])
    nameless = await api.ask("member", "PATCH", path, json={"name": ""})
    assert nameless.json()["errors"] == [
        {"field": "body.name", "message": "A company needs a name."}
    ]
    assert (await api.ask("member", "DELETE", path)).json()["deleted_at"] is not None
    assert await api.data("viewer", "/companies") == []
    assert (await api.ask("member", "POST", f"{path}/restore")).json()["deleted_at"] is None
    assert await audited(api, acme["id"]) == [
        "company.created", "company.edited", "company.deleted", "company.restored",
    ]  # fmt: skip


async def test_the_winner_takes_what_is_chosen(api: Api) -> None:
    ann = await made(api, name="Ann", phone="+34600112233", attributes={"plan": "gold"})
    bob = await made(api, name="Bob", phone="+34600112244")
    body = {"into": bob["id"], "take": ["phone", "attributes.plan"]}
    merged = await api.ask("member", "POST", f"/contacts/{ann['id']}/merge", json=body)
    assert merged.status_code == 201, merged.text
    now = (await api.get("viewer", f"/contacts/{bob['id']}")).json()
    assert (now["name"], now["phone"], now["attributes"]["plan"]) == ("Bob", "+34600112233", "gold")
    (listed,) = await api.data("viewer", "/merges", winner=bob["id"])
    assert (listed["id"], listed["loser_id"]) == (merged.json()["id"], ann["id"])
    await api.ask("member", "POST", f"/merges/{listed['id']}/undo")
    assert await api.data("viewer", "/merges") == []
    assert (await api.get("viewer", f"/contacts/{bob['id']}")).json()["phone"] == "+34600112244"
    unknown = {"into": bob["id"], "take": ["shoe_size"]}
    refused = await api.ask("member", "POST", f"/contacts/{ann['id']}/merge", json=unknown)
    assert refused.status_code == 422
