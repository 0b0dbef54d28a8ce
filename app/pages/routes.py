"""Puts the pages on the web app: routes, static files, error pages, headers. Wiring only."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from starlette.responses import Response
from starlette.types import ASGIApp, Scope

from app.pages import (
    alerts,
    audit_log,
    companies,
    company_forms,
    contact_forms,
    contacts,
    conversations,
    crisp_frame,
    domains,
    edits,
    erasing,
    event_actions,
    events,
    help_page,
    import_actions,
    imports,
    insight_exports,
    insights,
    list_exports,
    login,
    overview,
    refresh_actions,
    remedies,
    search,
    settings_page,
    sync_actions,
    syncs,
    team,
    token_pages,
    unmatched,
    view_actions,
    website_setting_actions,
    website_settings,
    welcome,
)
from app.pages.doors import KnownPeople
from app.pages.frame import Frame
from app.pages.problems import expected, handle_errors
from app.pages.rendering import STATIC, render
from app.pages.security import KnownNames

_FOR_EVER = "public, max-age=31536000, immutable"


class Assets(StaticFiles):
    """Addresses carry a digest of the content (`?v=`), so a browser may keep what it has."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        if scope.get("query_string", b"").startswith(b"v=") and response.status_code < 400:
            response.headers["Cache-Control"] = _FOR_EVER
        return response


def install(app: FastAPI) -> None:
    """`app.state` must hold db, ring and preview when the first request comes; quota may be missing."""
    # The last one added is the first that a request comes to.
    app.add_middleware(KnownPeople, problem=expected)
    app.add_middleware(KnownNames, refuse=_refusal)
    app.mount("/static", Assets(directory=STATIC), name="static")
    for part in (
        overview,
        list_exports,
        view_actions,
        contact_forms,
        company_forms,
        contacts,
        companies,
        conversations,
        insights,
        insight_exports,
        edits,
        domains,
        refresh_actions,
        erasing,
        unmatched,
        syncs,
        sync_actions,
        events,
        event_actions,
        imports,
        import_actions,
        search,
        help_page,
        login,
        website_settings,
        website_setting_actions,
    ):
        app.include_router(part.router, include_in_schema=False)
    for router in (
        settings_page.router,
        settings_page.changes,
        team.router,
        team.changes,
        token_pages.router,
        token_pages.changes,
        alerts.router,
        alerts.changes,
        audit_log.router,
        remedies.changes,
        remedies.router,
        welcome.router,
        crisp_frame.open_door,
        crisp_frame.router,
        crisp_frame.changes,
    ):
        app.include_router(router, include_in_schema=False)
    handle_errors(app)


def _refusal(sentence: str) -> ASGIApp:
    return render(
        "problem.html", Frame(""), 403, title="Not from here", sentence=sentence, code=403
    )
