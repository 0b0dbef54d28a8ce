"""A CSV file from its upload to its undo, by a program alone (SPEC I1 to I11, V7)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.accounts.tables import audit_log
from app.imports.worker import ImportWorker
from tests.api.conftest import OTHER, Api

FILE = b"E-mail;Who;Plan\nada@acme.example;Ada;gold\nbo@acme.example;Bo;\nnobody;X;\n"
COLUMNS = [
    {"column": "E-mail", "to": "email"},
    {"column": "Who", "to": "name"},
    {"column": "Plan", "to": "data.plan", "type": "choice", "choices": ["gold", "free"]},
]


def folder_of(api: Api) -> Path:
    folder: Path = api.whole.state.uploads.folder
    return folder


async def work(api: Api) -> None:
    worker = ImportWorker(api.here.db, folder_of(api), lease_seconds=10, quiet=True)
    while await worker.work_once():
        pass


async def uploaded(api: Api, content: Any = FILE, **headers: str) -> Any:
    return await api.ask(
        "member", "POST", "/imports?file_name=people.csv", content=content,
        headers={"Content-Type": "text/csv", **headers},
    )  # fmt: skip


async def asked(api: Api, import_id: str, what: str, **body: Any) -> dict[str, Any]:
    given = {"json": body} if body else {}
    answer = await api.ask("member", "POST", f"/imports/{import_id}/{what}", **given)
    assert answer.status_code in {200, 202}, answer.text
    await work(api)
    told: dict[str, Any] = (await api.get("viewer", f"/imports/{import_id}")).json()
    return told


async def test_a_file_of_companies_from_upload_to_undo(api: Api) -> None:
    sample = await api.get("viewer", "/imports/sample.csv?kind=companies")
    answer = await api.ask(
        "member", "POST", "/imports?kind=companies", content=sample.content,
        headers={"Content-Type": "text/csv"},
    )  # fmt: skip
    it = answer.json()
    assert (answer.status_code, it["kind"]) == (201, "companies")
    refused = await api.ask(
        "member", "POST", f"/imports/{it['id']}/plan",
        json={"columns": [{"column": "company_name", "to": "email"}]},
    )  # fmt: skip
    assert refused.status_code == 422
    assert "company_name, company_url" in refused.json()["detail"]
    planned = await asked(api, it["id"], "plan", mode="merge", save_as="Firms")
    done = await asked(api, it["id"], "commit", plan_hash=planned["plan_hash"])
    assert done["counts"]["created"] == 2
    rows = await api.data("viewer", f"/imports/{it['id']}/rows")
    found = {row["id"]: row["name"] for row in await api.data("viewer", "/companies")}
    assert {found[row["company_id"]] for row in rows} == {"Acme", "Beta"}
    assert {row["contact_id"] for row in rows} == {None}
    (saved,) = (await api.get("viewer", "/import-mappings")).json()["data"]
    assert (saved["name"], saved["kind"]) == ("Firms", "companies")
    file = await api.get("viewer", "/imports/again.csv?kind=companies")
    assert "companies.csv" in file.headers["content-disposition"]
    again = await api.ask("member", "POST", "/imports?kind=companies", content=file.content,
                          headers={"Content-Type": "text/csv"})  # fmt: skip
    assert (await asked(api, again.json()["id"], "plan", mode="merge"))["counts"]["unchanged"] == 2
    await asked(api, it["id"], "undo")
    assert await api.data("viewer", "/companies") == []
    layout = {"encoding": "utf-8", "separator": ",", "header": True, "kind": "contacts"}
    again = await api.ask("member", "POST", "/imports?kind=companies", content=b"email\na@x.example\n",
                          headers={"Content-Type": "text/csv"})  # fmt: skip
    other = await asked(api, again.json()["id"], "layout", **layout)
    assert (other["kind"], other["columns"][0]["to"]) == ("contacts", "email")


async def test_a_file_from_upload_to_undo(api: Api) -> None:
    answer = await uploaded(api)
    assert answer.status_code == 201, answer.text
    it = answer.json()
    assert answer.headers["location"] == f"/api/v1/imports/{it['id']}"
    assert (it["state"], it["file_name"], it["file_size"]) == ("uploaded", "people.csv", len(FILE))
    assert it["layout"] == {"encoding": "utf-8", "separator": ";", "header": True}
    assert it["columns"][0] == {"column": "E-mail", "to": "email"}
    head = (await api.get("viewer", f"/imports/{it['id']}/head")).json()
    assert head["names"] == ["E-mail", "Who", "Plan"]
    assert head["rows"][0] == ["ada@acme.example", "Ada", "gold"]
    planned = await asked(api, it["id"], "plan", columns=COLUMNS, segment="spring", save_as="Mine")
    assert (planned["state"], planned["counts"]["create"], planned["counts"]["error"]) == (
        "planned", 2, 1,
    )  # fmt: skip
    assert await api.data("viewer", "/contacts") == [], "a plan writes nothing"
    rows = await api.data("viewer", f"/imports/{it['id']}/rows", limit=1)
    assert [(row["line"], row["outcome"]) for row in rows] == [
        (2, "create"), (3, "create"), (4, "error"),
    ]  # fmt: skip
    assert "nobody" in str(rows[2]["problems"])
    bad = await api.get("viewer", f"/imports/{it['id']}/bad-rows.csv")
    assert "nobody" in bad.text
    wrong = await api.ask("member", "POST", f"/imports/{it['id']}/commit", json={"plan_hash": "x"})
    assert wrong.status_code == 409
    done = await asked(api, it["id"], "commit", plan_hash=planned["plan_hash"])
    assert (done["state"], done["counts"]["applied"]) == ("done", 2)
    people = {row["email"]: row for row in await api.data("viewer", "/contacts", segment="spring")}
    assert people["ada@acme.example"]["attributes"]["plan"] == "gold"
    (saved,) = (await api.get("viewer", "/import-mappings")).json()["data"]
    assert (saved["name"], saved["columns"][2]["choices"]) == ("Mine", ["gold", "free"])
    await asked(api, it["id"], "rows/2/undo")
    assert [row["email"] for row in await api.data("viewer", "/contacts")] == ["bo@acme.example"]
    undone = await asked(api, it["id"], "undo")
    assert undone["state"] == "undone"
    assert await api.data("viewer", "/contacts") == []
    actions = select(audit_log.c.action).where(audit_log.c.subject_id == it["id"])
    assert [row.action for row in await api.here.rows(actions.order_by(audit_log.c.at))] == [
        "import.begun", "import.committed", "import.rows_undone", "import.undone",
    ]  # fmt: skip


async def test_the_mapping_can_be_chosen_again_and_the_import_cancelled(api: Api) -> None:
    it = (await uploaded(api)).json()
    comma = await asked(api, it["id"], "layout", encoding="utf-8", separator=",", header=False)
    assert len(comma["columns"]) == 1
    await asked(api, it["id"], "layout", encoding="utf-8", separator=";", header=True)
    await asked(api, it["id"], "plan", columns=COLUMNS, save_as="Mine")
    assert (await asked(api, it["id"], "remap"))["state"] == "uploaded"
    again = await asked(api, it["id"], "plan", mapping="Mine", mode="create-only")
    assert (again["state"], again["mode"]) == ("planned", "create-only")
    assert (await asked(api, it["id"], "again"))["state"] == "planned"
    assert (await asked(api, it["id"], "cancel"))["state"] == "cancelled"
    assert list(folder_of(api).iterdir()) == [], "the file is forgotten"
    assert (await api.get("viewer", f"/imports/{it['id']}/head")).status_code == 422


async def test_what_cannot_be_planned(api: Api) -> None:
    it = (await uploaded(api)).json()
    path = f"/imports/{it['id']}/plan"
    for body, status, words in (
        ({"columns": []}, 422, "E-mail"),
        ({"columns": [*COLUMNS, {"column": "Shoe", "to": "data.shoe"}]}, 422, "no column “Shoe”"),
        ({"columns": [{"column": "E-mail", "to": "nonsense"}]}, 422, "cannot be mapped"),
        ({"mapping": "nobody's"}, 404, "no saved mapping"),
        ({"mode": "guess"}, 422, "mode"),
        ({"default_prefix": "+999999"}, 422, "prefix"),
    ):
        answer = await api.ask("member", "POST", path, json=body)
        assert answer.status_code == status, answer.text
        assert words in answer.text
    assert (await api.ask("viewer", "POST", path, json={})).status_code == 403
    assert (await api.get("viewer", f"/imports/{it['id']}")).json()["state"] == "uploaded"


async def test_a_file_is_streamed_and_never_bigger_than_allowed(api: Api) -> None:
    """The limit of this server is a megabyte; none of these leaves anything on the disk."""

    async def blocks(count: int) -> AsyncIterator[bytes]:
        yield b"email,name\n"
        for n in range(count):
            yield b"".join(b"a%d-%d@acme.example,Ann\n" % (n, k) for k in range(1000))

    for headers in ({}, {"Idempotency-Key": "big"}):
        answer = await uploaded(api, blocks(100), **headers)
        assert answer.status_code == 413, answer.text
        assert "split it" in answer.json()["detail"]
    told = await uploaded(api, b"x" * (1 << 20) + b"x")
    assert told.status_code == 413
    nothing = await uploaded(api, b"")
    assert nothing.status_code == 422, nothing.text
    assert not folder_of(api).exists() or list(folder_of(api).iterdir()) == []
    assert (await api.ask("viewer", "POST", "/imports", content=FILE)).status_code == 403
    elsewhere = await api.ask("member", "POST", f"/imports?website={OTHER}", content=FILE)
    assert elsewhere.status_code == 404
    big = await uploaded(api, blocks(30))
    assert big.status_code == 201
    assert big.json()["file_size"] > 600_000


async def test_a_file_that_is_sent_twice_is_uploaded_once(api: Api) -> None:
    first, again = [await uploaded(api, FILE, **{"Idempotency-Key": "k"}) for _ in range(2)]
    assert (first.status_code, first.text) == (201, again.text)
    assert again.headers["idempotent-replayed"] == "true"
    other = await uploaded(api, FILE + b"c@acme.example;C;\n", **{"Idempotency-Key": "k"})
    assert other.status_code == 422
    assert len(await api.data("viewer", "/imports")) == 1


async def test_the_sample_can_be_imported(api: Api) -> None:
    sample = await api.get("viewer", "/imports/sample.csv")
    it = (await uploaded(api, sample.content)).json()
    planned = await asked(api, it["id"], "plan", mode="merge")
    assert planned["counts"]["create"] == planned["counts"]["rows"] == 2
