"""Merging over the API, and taking it back (SPEC D6)."""

from tests.api.conftest import Api, some_rows
from tests.api.test_changes import Copy


async def test_contacts_are_merged_and_parted(api: Api) -> None:
    await some_rows(api.here, "acme")
    copy = Copy(api)
    await copy.follow()
    ann, bob = [(await api.here.contact(f"{name}-acme")).id for name in ("ann", "bob")]
    path, into = f"/contacts/{bob}/merge", {"into": ann}
    assert (await api.ask("viewer", "POST", path, json=into)).status_code == 403
    merged = await api.ask("member", "POST", path, json=into)
    assert merged.status_code == 201, merged.text
    assert (await api.get("viewer", f"/contacts/{bob}")).json()["merged_into"] == ann
    assert [row["id"] for row in await api.data("viewer", "/contacts")] == [ann]
    mine = await api.data("viewer", "/conversations", contact=ann)
    assert {row["session_id"] for row in mine} == {"t1-acme", "t2-acme"}
    await copy.follow()
    assert [row["id"] for row in copy.of("contact")] == [ann]
    undone = await api.ask("member", "POST", f"/merges/{merged.json()['id']}/undo")
    assert undone.json()["loser_id"] == bob
    assert len(await api.data("viewer", "/contacts")) == 2
    await copy.follow()
    assert len(copy.of("contact")) == 2


async def test_companies_and_what_cannot_be_merged(api: Api) -> None:
    await some_rows(api.here, "acme")
    await some_rows(api.here, "bolt")
    acme, bolt = [row["id"] for row in await api.data("viewer", "/companies", sort="name")]
    for into, status in ((acme, {409, 422}), ("nobody", {404}), ("\0", {422})):
        answer = await api.ask("member", "POST", f"/companies/{acme}/merge", json={"into": into})
        assert answer.status_code in status, answer.text
    done = await api.ask("member", "POST", f"/companies/{bolt}/merge", json={"into": acme})
    assert done.status_code == 201, done.text
    assert [row["id"] for row in await api.data("viewer", "/companies")] == [acme]
    assert (await api.get("viewer", f"/companies/{bolt}")).json()["merged_into"] == acme
