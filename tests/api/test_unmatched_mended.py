"""Links decided, and conversations without a contact mended, by programs (SPEC V5, M6)."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.accounts.tables import audit_log
from tests.api.conftest import OTHER, Api, some_rows
from tests.api.test_changes import Copy
from tests.ingesting import talk


async def test_a_link_is_pinned_denied_moved_and_taken_back(api: Api) -> None:
    await some_rows(api.here, "acme")
    ann, bob = [(await api.here.contact(f"{name}-acme")).id for name in ("ann", "bob")]
    path = f"/conversations/{(await api.here.conversation('t1-acme')).id}"
    copy = Copy(api)
    await copy.follow()
    pin = {"contact_id": bob, "decision": "pin"}
    assert (await api.ask("viewer", "POST", f"{path}/link", json=pin)).status_code == 403
    seen = (await api.get("viewer", path)).headers["etag"]
    match = {"headers": {"If-Match": seen}}
    moved = await api.ask("member", "POST", f"{path}/link", json=pin, **match)
    assert moved.status_code == 200, moved.text
    assert (moved.json()["link"]["contact_id"], moved.json()["link"]["rule"]) == (bob, "manual")
    assert (await api.ask("member", "POST", f"{path}/link", json=pin, **match)).status_code == 412
    (word,) = (await api.get("viewer", f"{path}/decisions")).json()["data"]
    assert (word["contact_id"], word["decision"], word["decided_by"]) == (bob, "pin", "member")
    await copy.follow()
    assert {row["conversation_id"]: row["contact_id"] for row in copy.of("link")}[
        moved.json()["id"]
    ] == bob
    back = await api.ask("member", "DELETE", f"{path}/link/{bob}")
    assert back.json()["link"]["contact_id"] == ann
    assert (await api.ask("member", "DELETE", f"{path}/link/{bob}")).status_code == 404
    deny = {"contact_id": ann, "decision": "deny"}
    denied = await api.ask("member", "POST", f"{path}/link", json=deny)
    assert denied.json()["link"]["unmatched_reason"] == "denied"
    await api.ask("member", "DELETE", f"{path}/link/{ann}")
    actions = select(audit_log.c.action).where(audit_log.c.subject_kind == "conversation")
    found = [row.action for row in await api.here.rows(actions.order_by(audit_log.c.at))]
    assert found == ["link.pinned", "link.released", "link.denied", "link.released"]


async def test_what_cannot_be_linked(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    bob = (await api.here.contact("bob-acme")).id
    theirs = (await api.there.contact("ann-bolt")).id
    own, other = [
        (await site.conversation(f"t1-{name}")).id
        for site, name in ((api.here, "acme"), (api.there, "bolt"))
    ]
    await api.ask("member", "DELETE", f"/contacts/{bob}")
    for path, contact_id, decision, status in (
        (own, bob, "pin", 422),
        (own, theirs, "pin", 404),
        (own, "nobody", "deny", 404),
        (own, bob, "guess", 422),
        (other, bob, "pin", 404),
    ):
        body = {"contact_id": contact_id, "decision": decision}
        answer = await api.ask("member", "POST", f"/conversations/{path}/link", json=body)
        assert answer.status_code == status, answer.text
    assert (await api.get("viewer", f"/conversations/{own}/decisions")).json()["data"] == []


async def test_asking_crisp_again_says_why_not(api: Api) -> None:
    """Here the program has no credential; tests/flows asks the sandbox."""
    await some_rows(api.here, "acme")
    ann = (await api.here.contact("ann-acme")).id
    assert (await api.ask("viewer", "POST", f"/contacts/{ann}/refresh")).status_code == 403
    answer = await api.ask("member", "POST", f"/contacts/{ann}/refresh")
    assert answer.status_code == 422, answer.text
    assert "CRISP_IDENTIFIER" in answer.json()["detail"]


async def test_a_group_is_looked_at_mended_and_taken_back(api: Api) -> None:
    await some_rows(api.here, "acme")
    await api.here.take(talk("t4", at=9, meta={"email": "who@acme.example", "nickname": "Who"}))
    (group,) = (await api.get("viewer", "/unmatched/groups")).json()["data"]
    assert (group["reason"], group["domain"], group["conversations"]) == (
        "unknown_email", "acme.example", 2,
    )  # fmt: skip
    wish = {"kind": "create", "reason": group["reason"], "domain": group["domain"]}
    assert (await api.ask("viewer", "POST", "/unmatched/remedies", json=wish)).status_code == 403
    told = (await api.ask("member", "POST", "/unmatched/remedies/preview", json=wish)).json()
    assert told["contacts"] == [{"email": "who@acme.example", "name": "Who"}]
    assert len(told["conversations"]) == 2
    assert len(await api.data("viewer", "/unmatched")) == 2, "a look changes nothing"
    await api.here.take(talk("t5", at=11, meta={"email": "new@acme.example"}))
    late = {**wish, "digest": told["digest"]}
    answer = await api.ask("member", "POST", "/unmatched/remedies", json=late)
    assert answer.status_code == 409, answer.text
    once = {"json": wish, "headers": {"Idempotency-Key": "mend"}}
    done = await api.ask("member", "POST", "/unmatched/remedies", **once)
    assert done.status_code == 201, done.text
    assert (await api.ask("member", "POST", "/unmatched/remedies", **once)).text == done.text
    assert done.json()["counts"]["contacts"] == 2
    assert await api.data("viewer", "/unmatched") == []
    assert {row["source"] for row in await api.data("viewer", "/contacts", q="acme")} >= {"api"}
    path = f"/unmatched/remedies/{done.json()['id']}"
    assert (await api.get("viewer", path)).json() == done.json()
    # Somebody changes one of the new contacts: that one stays, and is told.
    (who,) = await api.data("viewer", "/contacts", email="who@acme.example")
    await api.ask("member", "PATCH", f"/contacts/{who['id']}", json={"phone": "+34600112233"})
    refused = await api.ask("member", "POST", f"{path}/undo")
    assert refused.status_code == 409, refused.text
    assert "1 new contact" in refused.json()["detail"]
    undone = await api.ask("member", "POST", f"{path}/undo", json={"rest": True})
    assert undone.status_code == 200, undone.text
    assert len(undone.json()["kept"]) == 1
    assert [r["session_id"] for r in await api.data("viewer", "/unmatched")] == ["t5"]
    assert (await api.ask("member", "POST", f"{path}/undo")).status_code == 404
    assert [row["id"] for row in await api.data("viewer", "/unmatched/remedies")] == [
        done.json()["id"]
    ]


@pytest.mark.parametrize("kind", ["link", "tie", "ignore", "leave"])
async def test_each_other_remedy_is_done_and_taken_back(api: Api, kind: str) -> None:
    await some_rows(api.here, "acme")
    ann = (await api.here.contact("ann-acme")).id
    await api.here.take(talk("t6", meta={"email": "x@new.example"}))
    own = (await api.here.conversation("t6")).id
    more = {
        "link": {"contact_id": ann},
        "tie": {"company_name": "New"},
        "ignore": {},
        "leave": {},
    }[kind]
    before = (await api.get("viewer", f"/conversations/{own}")).json()["link"]
    wish = {"kind": kind, "ids": [own], **more}
    done = await api.ask("member", "POST", "/unmatched/remedies", json=wish)
    assert done.status_code == 201, done.text
    groups = (await api.get("viewer", "/unmatched/groups")).json()["data"]
    assert "new.example" not in {group["domain"] for group in groups}
    undone = await api.ask("member", "POST", f"/unmatched/remedies/{done.json()['id']}/undo")
    assert undone.json()["kept"] == []
    assert (await api.get("viewer", f"/conversations/{own}")).json()["link"] == before
    groups = (await api.get("viewer", "/unmatched/groups")).json()["data"]
    assert "new.example" in {group["domain"] for group in groups}


async def test_wishes_that_cannot_be(api: Api) -> None:
    await some_rows(api.there, "bolt")
    theirs = (await api.there.conversation("t3-bolt")).id
    for body, status in (
        ({"kind": "create"}, 422),
        ({"kind": "create", "reason": "nonsense"}, 422),
        ({"kind": "dance", "reason": "unknown_email"}, 422),
        ({"kind": "create", "ids": [theirs]}, 422),
        ({"kind": "tie", "domain": "x.example"}, 422),
        ({"kind": "link", "ids": ["x"], "contact_id": "nobody"}, 404),
        ({"kind": "create", "ids": ["\0"]}, 422),
        ({"kind": "tie", "domain": "\0", "company_name": "X"}, 422),
    ):
        answer = await api.ask("member", "POST", "/unmatched/remedies", json=body)
        assert answer.status_code == status, (body, answer.text)
    asked = f"/unmatched/remedies?website={OTHER}"
    answer = await api.ask("member", "POST", asked, json={"kind": "leave", "ids": [theirs]})
    assert answer.status_code == 404
    assert len(await api.data("viewer-all", "/unmatched", website=OTHER)) == 1
