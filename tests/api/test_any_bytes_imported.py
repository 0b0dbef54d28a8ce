"""Whatever is uploaded is answered with less than 500, all the way to a commit (SPEC I1, I7, V7)."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from tests.api.conftest import Api
from tests.api.test_imports_over_api import uploaded, work
from tests.imports.any_bytes import CONTENTS, LAYOUTS, some
from tests.imports.importing import adds_up


async def told(api: Api, import_id: str) -> Any:
    return (await api.get("viewer", f"/imports/{import_id}")).json()


@some(40)
@given(content=CONTENTS, layout=LAYOUTS)
async def test_any_bytes_become_an_import_or_a_sentence(
    api: Api, content: bytes, layout: dict[str, Any]
) -> None:
    """A fault would be raised here, not answered: this client hands it on."""
    answer = await uploaded(api, content)
    assert answer.status_code in {201, 422}, answer.text
    if answer.status_code == 422:
        assert answer.json()["detail"]
        return
    import_id = answer.json()["id"]
    path = f"/imports/{import_id}"
    changed = await api.ask("member", "POST", f"{path}/layout", json=layout)
    assert changed.status_code in {200, 422}, changed.text
    it = await told(api, import_id)
    assert (await api.get("viewer", f"{path}/head")).status_code == 200
    columns = [{"column": one["column"]} for one in it["columns"]]
    for column, to in zip(columns, ("email", "name", "data.plan"), strict=False):
        column["to"] = to
    planned = await api.ask("member", "POST", f"{path}/plan", json={"columns": columns})
    assert planned.status_code in {202, 422}, planned.text
    if planned.status_code == 422:
        return
    await work(api)
    it = await told(api, import_id)
    assert (it["state"], adds_up(it["counts"])) == ("planned", True), it["error"]
    assert len(await api.data("viewer", f"{path}/rows")) == it["counts"]["rows"]
    bad = await api.get("viewer", f"{path}/bad-rows.csv")
    assert bad.status_code == 200
    commit = {"plan_hash": it["plan_hash"]}
    assert (await api.ask("member", "POST", f"{path}/commit", json=commit)).status_code == 202
    await work(api)
    it = await told(api, import_id)
    assert (it["state"], it["counts"].get("refused", 0)) == ("done", 0), it["error"]
    # Its own bad rows are no other kind of file.
    assert (await uploaded(api, bad.content)).status_code == 201
