"""E-mail domains of companies over the API (SPEC M9)."""

from tests.api.conftest import Api, some_rows


async def test_a_domain_is_tied_listed_and_taken_back(api: Api) -> None:
    await some_rows(api.here, "acme")
    acme = (await api.data("viewer", "/companies"))[0]["id"]
    tie = {"domain": "Böse.example", "company_id": acme}
    assert (await api.ask("viewer", "POST", "/domains", json=tie)).status_code == 403
    assert (await api.ask("viewer", "DELETE", "/domains/acme.example")).status_code == 403
    done = await api.ask("member", "POST", "/domains", json=tie)
    assert done.status_code == 201, done.text
    assert done.json()["domain"] == "xn--bse-sna.example"
    own = {"domain": "acme.example", "company_id": acme}
    once = {"headers": {"Idempotency-Key": "k1"}}
    first = await api.ask("member", "POST", "/domains", json=own, **once)
    again = await api.ask("member", "POST", "/domains", json=own, **once)
    assert (first.status_code, first.text) == (again.status_code, again.text)
    mine = await api.data("viewer", "/conversations", company=acme)
    assert "t3-acme" in {row["session_id"] for row in mine}, "nobody's, and yet the company's"
    ignored = await api.ask(
        "member", "POST", "/domains", json={"domain": "gmail.com", "ignore": True}
    )
    assert (ignored.status_code, ignored.json()["ignored"]) == (201, True)
    listed = await api.data("viewer", "/domains", limit=1)
    assert [row["domain"] for row in listed] == ["acme.example", "gmail.com", "xn--bse-sna.example"]
    assert (await api.ask("member", "DELETE", "/domains/acme.example")).status_code == 204
    assert (await api.ask("member", "DELETE", "/domains/acme.example")).status_code == 404
    mine = await api.data("viewer", "/conversations", company=acme)
    assert "t3-acme" not in {row["session_id"] for row in mine}


async def test_what_cannot_be_tied(api: Api) -> None:
    await some_rows(api.here, "acme")
    acme = (await api.data("viewer", "/companies"))[0]["id"]
    for body, status, words in (
        ({"domain": "gmail.com", "company_id": acme}, 422, "free-mail"),
        ({"domain": "x.example", "company_id": "nobody"}, 404, "company"),
        ({"domain": "x.example"}, 422, "one of"),
        ({"domain": "x.example", "company_id": acme, "ignore": True}, 422, "one of"),
        ({"domain": "acme.example", "new_company": "Other"}, 409, "has this domain already"),
        ({"domain": "\0", "ignore": True}, 422, "no e-mail domain"),
    ):
        answer = await api.ask("member", "POST", "/domains", json=body)
        assert answer.status_code == status, answer.text
        assert words in answer.text
    assert await api.data("viewer", "/domains") == []


async def test_another_websites_company_is_not_found(api: Api) -> None:
    await some_rows(api.there, "bolt")
    theirs = (await api.data("viewer-all", "/companies", website=api.there.id))[0]["id"]
    body = {"domain": "x.example", "company_id": theirs}
    assert (await api.ask("member", "POST", "/domains", json=body)).status_code == 404
