"""The worker's lines of an import and of an erasure carry the id of the request that asked for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.accounts.actors import COMMAND
from app.imports.setup import columns_of_import
from app.imports.steps import Choice, ask_commit, ask_plan, ask_undo
from app.logs import as_of_request, configure_logs
from app.privacy.erase import erase_contact
from app.privacy.sweep import sweep
from tests.imports.importing import MEMBER, importing
from tests.ingesting import connected, person


@pytest.fixture(autouse=True)
def json_logs() -> Iterator[None]:
    structlog.reset_defaults()
    configure_logs(as_json=True)
    yield
    structlog.reset_defaults()


def told(capsys: pytest.CaptureFixture[str], event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_each_step_of_an_import_names_who_asked_for_it(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with importing(database_url, tmp_path) as site:
        import_id = await site.begin("email,name\nada@acme.example,Ada\n")
        row = await site.row(import_id)
        with as_of_request("plans"):
            choice = Choice(columns_of_import(row), "merge", row.options)
            await ask_plan(site.db, site.id, import_id, choice, MEMBER)
        await site.work()
        planned = await site.row(import_id)
        with as_of_request("commits"):
            await ask_commit(site.db, site.id, import_id, planned.plan_hash, MEMBER)
        await site.work()
        with as_of_request("undoes"):
            await ask_undo(site.db, site.id, import_id, MEMBER)
        await site.work()
        steps = [(line["state"], line["request_id"]) for line in told(capsys, "import.ended")]
        assert steps == [("planning", "plans"), ("committing", "commits"), ("undoing", "undoes")]
        assert structlog.contextvars.get_contextvars() == {}


async def test_a_sweep_names_each_request_it_is_for(
    database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with connected(database_url) as site:
        await site.take(person("ann", email="ann@acme.example"), person("bob"))
        for key, request_id in (("ann", "first"), ("bob", "second")):
            with as_of_request(request_id):
                contact = await site.contact(key)
                await erase_contact(site.db, COMMAND, str(contact.id))
        await sweep(site.db, tmp_path)
        lines = told(capsys, "erasure.swept")
        assert sorted(line["request_id"] for line in lines) == ["first", "second"]
        assert await sweep(site.db, tmp_path) == 0
