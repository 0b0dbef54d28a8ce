"""Every page of the app by its routes: the tests that go through all of them begin here.

A page that is added is among them by itself; whatever is no page says here why.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from pydantic import SecretStr

from app.db.session import Database
from app.main import create_app
from app.settings import Settings
from tests.fixtures.program import SECRET_KEY
from tests.fixtures.routes import share_routes
from tests.pages import rows
from tests.pages.test_every_route import ways

# Addresses without a page behind them, each with its reason.
NO_PAGE = {
    "/companies.csv": "a file",
    "/contacts.csv": "a file",
    "/conversations.csv": "a file",
    "/contacts/{contact_id}/everything.json": "a file",
    "/insights.csv": "a file",
    "/insights/at-risk.csv": "a file",
    "/insights/conversations.csv": "a file",
    "/imports/contacts.csv": "a file",
    "/imports/companies.csv": "a file",
    "/imports/sample.csv": "a file",
    "/imports/{import_id}/bad-rows.csv": "a file",
    "/settings/audit.csv": "a file",
    "/imports/{import_id}/events": "a stream for a script",
    "/syncs/{run_id}/events": "a stream for a script",
    "/healthz": "for programs",
    "/readyz": "for programs",
    "/metrics": "for programs",
}
# What a page shows beyond what it shows without: a place in a row of `EXAMPLES`, a choice, a notice.
GROUP = "reason=unknown_email&domain=nowhere.example"
ALSO = (
    "/contacts?deleted=1", "/contacts/ann?saved=changed", "/contacts/wide", "/contacts/hidden",
    "/companies/widest", "/contacts/ann/merge?other=bob", "/companies/acme/merge?other=widest",
    "/contacts/ann/merge?q=b", "/conversations?q=refund&status=open", "/conversations/lost",
    "/conversations/wider", "/conversations/lost/move?q=a", "/syncs/live", "/search?q=a",
    f"/unmatched/group?{GROUP}", f"/unmatched/remedy?kind=tie&{GROUP}",
    f"/unmatched/remedy?kind=link&{GROUP}", f"/unmatched/remedy?kind=ignore&{GROUP}",
    "/unmatched?done=remedy", "/events?state=all&from=2026-01-01", "/imports/mapped",
    "/imports/planned", "/imports/planned?show=problems", "/imports/done", "/imports/failed", "/imports/firms", "/imports/firms-mapped",
    "/welcome?link=an-invitation", "/nowhere", "/settings?saved=profile",
    "/insights?by=operator", "/insights?by=company&as_of=2026-01-01", "/insights?since=nonsense",
    "/insights/conversations?show=waiting", "/insights/at-risk?silent_days=1&waiting_hours=0",
    "/insights/at-risk?page=9", "/settings/website?changed=1", "/settings/website?saved=1", "/settings/domains?done=1",
)  # fmt: skip
EXAMPLES = {
    "contacts": ("ann",), "companies": ("acme",), "conversations": ("talk",), "syncs": ("run",),
    "events": (rows.inbox_event("letter")[1]["id"],), "imports": ("cancelled",),
    "team": ("somebody",), "remedies": ("remedy",),
}  # fmt: skip
NEEDED = {
    "/insights/conversations": "by=company&key=acme",
    "/unmatched/group": GROUP,
    "/unmatched/remedy": f"kind=create&{GROUP}",
}
# Pages that say no to whoever asks here: nothing is there, or Crisp does not open them.
REFUSED = ("/nowhere", "/plugin/settings", "/welcome")
# Seen by strangers only.
OF_STRANGERS = ("/login", "/welcome")


def page_addresses(app: FastAPI) -> list[str]:
    """An address of each page of the app, and those of `ALSO`."""
    found = []
    for way in ways(app):
        if way.method != "GET" or way.path in NO_PAGE:
            continue
        address = way.path
        if "{" in address:
            before, _, after = address.partition("/{")
            folder = before.rpartition("/")[2]
            assert folder in EXAMPLES, f"{way.path}: add an example of /{folder}/ to EXAMPLES."
            address = f"{before}/{EXAMPLES[folder][0]}{after.partition('}')[2]}"
        found.append(f"{address}?{NEEDED[address]}" if address in NEEDED else address)
    return [*found, *ALSO]


CREDENTIAL: dict[str, Any] = {
    "crisp_identifier": "an-identifier", "crisp_key": SecretStr("a-key"),
    "crisp_plugin_id": "a-plugin", "crisp_signing_secret": SecretStr("a-secret"),
}  # fmt: skip


def whole_app(url: str, uploads: Path, **given: Any) -> FastAPI:
    """With a credential in its environment, or instead what is `given` of settings."""
    settings = Settings(
        database_url=url, uploads_folder=uploads, secret_key=SecretStr(SECRET_KEY),
        **(given or CREDENTIAL),
    )  # fmt: skip
    return share_routes(create_app(settings), "whole")


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[Database]:
    async with app.router.lifespan_context(app):
        yield app.state.db
