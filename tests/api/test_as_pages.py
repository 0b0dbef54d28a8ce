"""Whatever a page does, a program can do (SPEC V7): every POST of the pages, and the API's route for it.

A form that is added to a page is missing here and fails, until it has a route or a reason.
"""

from __future__ import annotations

from typing import Any

from tests.pages.test_every_route import an_app, ways

# Addresses that somebody posts to, and the route of the API that does the same. What a page's
# `{what}` stands for is told word by word.
ROUTES: dict[str, str | dict[str, str]] = {
    "/contacts/new": "POST /contacts",
    "/contacts/{row_id}/edit": "PATCH /contacts/{contact_id}",
    "/contacts/{row_id}/delete": "DELETE /contacts/{contact_id}",
    "/contacts/{row_id}/restore": "POST /contacts/{contact_id}/restore",
    "/contacts/{row_id}/refresh": "POST /contacts/{contact_id}/refresh",
    "/conversations/{row_id}/refresh": "POST /conversations/{conversation_id}/refresh",
    "/conversations/{row_id}/link": {
        "pin": "POST /conversations/{conversation_id}/link",
        "deny": "POST /conversations/{conversation_id}/link",
        "release": "DELETE /conversations/{conversation_id}/link/{contact_id}",
    },
    "/unmatched/remedy": "POST /unmatched/remedies",
    "/unmatched/remedies/{remedy_id}/undo": "POST /unmatched/remedies/{remedy_id}/undo",
    "/imports": "POST /imports",
    "/imports/{import_id}/layout": "POST /imports/{import_id}/layout",
    "/imports/{import_id}/plan": "POST /imports/{import_id}/plan",
    "/imports/{import_id}/commit": "POST /imports/{import_id}/commit",
    "/imports/{import_id}/rows/{line}/undo": "POST /imports/{import_id}/rows/{line}/undo",
    "/imports/{import_id}/{what}": dict.fromkeys(
        ("again", "undo", "cancel", "remap"), "POST /imports/{import_id}/{what}"
    ),
    "/contacts/{contact_id}/erase": "POST /contacts/{contact_id}/erase",
    "/events/replay": "POST /events/replay",
    "/syncs/preview": "POST /syncs/preview",
    "/settings/website": "PATCH /websites/{website_id}/settings",
    "/settings/mapping": "PUT /websites/{website_id}/mapping",
    "/settings/connect": "POST /websites",
    "/settings/connection/check": "POST /websites/{website_id}/findings/live",
    "/settings/connection/{what}": {
        "pause": "POST /websites/{website_id}/{what}",
        "resume": "POST /websites/{website_id}/{what}",
        "first-import": "POST /syncs",
    },
    "/settings/disconnect": "POST /websites/{website_id}/disconnect",
    "/settings/alerts": "POST /alerts/targets",
    "/settings/alerts/{target_id}/{what}": {
        "test": "POST /alerts/targets/{target_id}/test",
        "enable": "POST /alerts/targets/{target_id}/enable",
        "remove": "DELETE /alerts/targets/{target_id}",
    },
    "/companies/new": "POST /companies",
    "/companies/{row_id}/edit": "PATCH /companies/{company_id}",
    "/companies/{row_id}/delete": "DELETE /companies/{company_id}",
    "/companies/{row_id}/restore": "POST /companies/{company_id}/restore",
    "/contacts/{row_id}/merge": "POST /contacts/{contact_id}/merge",
    "/companies/{row_id}/merge": "POST /companies/{company_id}/merge",
    "/merges/{merge_id}/undo": "POST /merges/{merge_id}/undo",
    "/events/{event_id}/replay": "POST /events/{event_id}/replay",
    "/settings/domains": "POST /domains",
    "/settings/domains/release": "DELETE /domains/{domain}",
    "/companies/{company_id}/domains": "POST /domains",
    "/syncs": "POST /syncs",
    "/syncs/{run_id}/{what}": dict.fromkeys(
        ("pause", "resume", "cancel"), "POST /syncs/{sync_id}/{what}"
    ),
}
_PERSON = "of the person at the browser; a token is no person"
_FRAME = "the page that Crisp frames, for who is logged in at Crisp; a token uses "
_ENTRY = (
    "who and what may get in is decided by a person who is logged in, not by a token that leaked"
)
# Only pages do these, each with its reason.
PAGES_ONLY = {
    "/login": _PERSON,
    "/logout": _PERSON,
    "/welcome": _PERSON,
    "/settings/profile": _PERSON,
    "/settings/password": _PERSON,
    "/views": "how one person likes to look at a list; a program keeps its own parameters",
    "/views/{view_id}/remove": "as /views",
    "/webhooks/crisp": "no page: Crisp's own door",
    "/webhooks/crisp/": "no page: Crisp's own door",
    "/plugin/website": _FRAME + "PATCH /websites/{website_id}/settings",
    "/plugin/website/sync": _FRAME + "POST /syncs",
    "/settings/team": _ENTRY,
    "/settings/team/{user_id}/{what}": _ENTRY,
    "/settings/tokens": _ENTRY,
    "/settings/tokens/{token_id}/revoke": _ENTRY,
    "/settings/credential": _ENTRY,
}


def document() -> dict[str, Any]:
    app = an_app()
    mounted = next(route for route in app.routes if getattr(route, "path", "") == "/api/v1")
    told: dict[str, Any] = mounted.app.openapi()  # type: ignore[attr-defined]
    return told


def routes_of(told: str | dict[str, str]) -> list[str]:
    return [told] if isinstance(told, str) else list(told.values())


def test_whatever_a_page_does_the_api_does() -> None:
    done = {way.path for way in ways(an_app()) if way.changes}
    told = {**ROUTES, **PAGES_ONLY}
    assert not set(ROUTES) & set(PAGES_ONLY)
    unknown = done - set(told)
    assert not unknown, f"{sorted(unknown)}: name the API's route in ROUTES, or why there is none."
    assert not set(told) - done, "told of a page that is not there"


def test_each_of_these_routes_is_in_the_document() -> None:
    paths = document()["paths"]
    there = {f"{method.upper()} {path}" for path, ways in paths.items() for method in ways}
    for path, told in ROUTES.items():
        for route in routes_of(told):
            assert route in there, f"{path}: the document of the API has no {route}"


def test_the_document_shows_what_each_change_is_sent() -> None:
    """Every body has an example, so that generated documents show one."""
    told = document()
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            for media in route.get("requestBody", {}).get("content", {}).values():
                schema = media.get("schema", {})
                refs = [one.get("$ref", "") for one in (schema, *schema.get("anyOf", ()))]
                named = "".join(refs).rpartition("/")[2]
                shape = told["components"]["schemas"].get(named, schema)
                fields = shape.get("properties", {}).values()
                shown = "examples" in shape or "example" in media or "examples" in media
                shown = shown or (fields and all("examples" in field for field in fields))
                assert shown, f"{method.upper()} {path}: no example of its body"
