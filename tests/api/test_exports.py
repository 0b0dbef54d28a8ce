"""Exports over the API: whole files, for whoever has a token (SPEC V4, V7, FAILURES case 102)."""

from __future__ import annotations

import csv
import io
import json
from typing import Any, get_args

import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from sqlalchemy import insert

from app.api.exports import Noun
from app.conversations.tables import operators
from app.published.export import NOUNS
from tests.api.conftest import OTHER, Api, some_rows
from tests.api.test_as_pages import document
from tests.published.test_export import exported

# Lists that are no files, each with its reason.
NO_FILE = {
    "/websites": "a handful, and what a token sees of them",
    "/changes": "a feed that never ends; it is read by its cursor",
    "/unmatched/remedies": "as remedies",
    "/conversations/{conversation_id}/messages": "one thread; all of them as messages",
    "/syncs/{sync_id}/failures": "of one run",
    "/imports/{import_id}/rows": "of one file; those to repair as bad-rows.csv",
    "/import-mappings": "a handful of settings",
    "/insights": "figures, whole in one answer",
    "/insights/at-risk": "figures, whole in one answer",
    "/insights/conversations": "what is behind a figure; conversations are a file of their own",
    "/search": "the best few of each kind; each kind's list is a file",
    "/syncs/{sync_id}/drift": "of one run",
    "/events/arrivals": "figures, whole in one answer",
    "/audit-log": "of many websites, and for admins; its page has a file of it",
    "/alerts": "what is wrong now",
    "/alerts/targets": "a handful of settings",
}


async def fill(api: Api) -> None:
    """Something in each list but events."""
    await some_rows(api.here, "acme")
    await some_rows(api.there, "bolt")
    row = {"website_id": api.here.id, "user_id": "op-1", "name": "=Mira"}
    await api.here.execute(insert(operators).values(row))
    tie = {"kind": "tie", "domain": "new.example", "company_name": "New"}
    for path, body in (
        ("/syncs", {"kind": "full"}),
        ("/unmatched/remedies", tie),
        ("/contacts", {"name": "Cy"}),
    ):
        answer = await api.ask("admin", "POST", path, json=body)
        assert answer.status_code < 300, answer.text
    ann = (await api.here.contact("ann-acme")).id
    bob = (await api.here.contact("bob-acme")).id
    await api.ask("admin", "POST", f"/contacts/{bob}/merge", json={"into": ann})
    file = await api.ask("admin", "POST", "/imports", content=b"email\na@x.example\n")
    assert file.status_code == 201, file.text


def test_every_list_is_a_file_or_says_why_not() -> None:
    told = document()
    lists = set()
    for path, methods in told["paths"].items():
        shape = (
            methods.get("get", {})
            .get("responses", {})
            .get("200", {})
            .get("content", {})
            .get("application/json", {})
            .get("schema", {})
            .get("$ref", "")
            .rpartition("/")[2]
        )
        if "next_cursor" in told["components"]["schemas"].get(shape, {}).get("properties", {}):
            lists.add(path)
    files = {f"/{noun}" for noun in get_args(Noun)}
    assert lists - files - set(NO_FILE) == set(), "name it in Noun of app/api/exports.py, or here"


@pytest.mark.parametrize("noun", get_args(Noun))
async def test_each_list_in_each_form_holds_what_the_list_shows(api: Api, noun: str) -> None:
    await fill(api)
    path = {"remedies": "/unmatched/remedies"}.get(noun, f"/{noun}")
    rows = await api.data("viewer", path)
    assert rows or noun == "events", noun
    lines = (await api.get("viewer", f"/exports/{noun}?format=jsonl")).text.splitlines()

    def told(row: Any) -> str:
        return json.dumps(row, sort_keys=True)

    assert sorted(told(json.loads(line)) for line in lines) == sorted(told(row) for row in rows)
    sheet = await api.get("viewer", f"/exports/{noun}")
    assert sheet.headers["content-disposition"] == f'attachment; filename="{noun}.csv"'
    cells = list(csv.DictReader(io.StringIO(sheet.text)))
    assert len(cells) == len(rows)
    table = await api.get("viewer", f"/exports/{noun}?format=parquet")
    assert table.headers["content-type"] == "application/vnd.apache.parquet"
    read = pyarrow.parquet.read_table(io.BytesIO(table.content))
    assert read.num_rows == len(rows)
    assert read.column_names == sheet.text.split("\r\n", 1)[0].split(",")
    assert OTHER not in sheet.text
    if noun == "operators":
        assert cells[0]["name"] == "'=Mira", "no cell that a spreadsheet would run"


@pytest.mark.parametrize(
    ("noun", "filters"),
    [
        ("contacts", {"q": "ann"}),
        ("contacts", {"deleted": "yes"}),
        ("contacts", {"deleted": "any", "segment": "vip"}),
        ("contacts", {"email": "bob@acme.example", "source": "crisp"}),
        ("companies", {"domain": "acme.example"}),
        ("conversations", {"status": "resolved"}),
        ("conversations", {"updated_since": "2026-03-02T09:05:00Z", "q": "refund"}),
        ("unmatched", {"reason": "denied"}),
        ("messages", {"include": "notes"}),
    ],
)
async def test_a_file_has_the_filters_of_its_list(
    api: Api, noun: str, filters: dict[str, str]
) -> None:
    await some_rows(api.here, "acme")
    await api.here.remove_person("bob-acme", 10)
    rows = await api.data("viewer", f"/{noun}", **filters)
    answer = await api.get("viewer", f"/exports/{noun}", params={"format": "jsonl", **filters})
    told = [json.loads(line) for line in answer.text.splitlines()]
    assert sorted(told, key=str) == sorted(rows, key=str)


async def test_the_api_streams_what_the_command_writes(api: Api) -> None:
    await some_rows(api.here, "acme")
    for noun in NOUNS:
        answer = await api.get("viewer", f"/exports/{noun}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.text == await exported(api.here.db, noun)
    # FAILURES case 102: a link alone opens nothing.
    assert (await api.get(None, "/exports/contacts")).status_code == 401
    assert (await api.get("viewer-none", "/exports/contacts")).status_code == 422
    for path in ("secrets", "contacts?format=xlsx", "contacts?status=resolved", "syncs?q=x"):
        assert (await api.get("viewer", f"/exports/{path}")).status_code == 422, path
