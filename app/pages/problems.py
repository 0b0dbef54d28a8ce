"""Errors as sentences in the frame of the pages: what happened, what was kept, what to do."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exception_handlers import http_exception_handler, request_validation_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.errors import CrispsyncError
from app.pages.frame import Frame, NoWebsite, database_of, open_frame
from app.pages.rendering import render
from app.pages.security import HEADERS

# These speak JSON or nothing; their callers are programs.
NOT_PAGES = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")
_SENTENCES = {
    404: "There is no page at this address. It may have been mistyped, or belong to another website.",
    405: "This address cannot be used like that. Open the page and use its buttons.",
    413: "That is more than can be taken at once.",
    422: "Something in this request was not understood, and nothing was done.",
}
_UNEXPECTED = (
    "This page could not be made because of a fault in crispsync. Nothing was changed. The log of "
    "the server has the details."
)

log = structlog.get_logger(__name__)


def handle_errors(app: FastAPI) -> None:
    app.add_exception_handler(NoWebsite, _no_website)
    app.add_exception_handler(CrispsyncError, expected)
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _unexpected)


def is_page(request: Request) -> bool:
    return not request.url.path.startswith(NOT_PAGES)


async def problem(request: Request, status: int, sentence: str) -> Response:
    frame = await _frame_or_none(request)
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    return render("problem.html", frame, status, title=title, sentence=sentence, code=status)


_TITLES = {
    401: "Log in",
    403: "Not allowed",
    404: "Not found",
    409: "Not now",
    422: "Not understood",
    500: "Something went wrong",
    502: "Crisp did not answer as expected",
    503: "Not available at the moment",
}


async def _frame_or_none(request: Request) -> Frame:
    """The frame if it can be had: an error page must not fail for the reason it reports."""
    try:
        async with database_of(request).read() as connection:
            return await open_frame(connection, request)
    except Exception:  # whatever it is, the sentence is more important
        return Frame(request.url.path)


async def _no_website(request: Request, _error: Exception) -> Response:
    frame = await _frame_or_none(request)
    if frame.may("admin"):
        return render("begin.html", frame)
    return await problem(
        request,
        403,
        "No website was granted to you yet. Ask an admin to do so, then reload this page.",
    )


async def expected(request: Request, error: Exception) -> Response:
    """A CrispsyncError as its sentence."""
    status = getattr(error, "http_status", 500)
    message = getattr(error, "message", _UNEXPECTED)
    if not is_page(request):
        return JSONResponse({"title": message, "status": status}, status)
    return await problem(request, status, message)


async def _http(request: Request, error: Exception) -> Response:
    http: Any = error
    if not is_page(request):
        return await http_exception_handler(request, http)
    sentence = _SENTENCES.get(http.status_code, str(http.detail))
    return await problem(request, http.status_code, sentence)


async def _invalid(request: Request, error: Exception) -> Response:
    if not is_page(request) and isinstance(error, RequestValidationError):
        return await request_validation_exception_handler(request, error)
    return await problem(request, 422, _SENTENCES[422])


async def _unexpected(request: Request, error: Exception) -> Response:
    # Its address holds what somebody typed; the request's own line names the route.
    log.error("page.failed", error=type(error).__name__)
    if not is_page(request):
        return JSONResponse({"title": "A fault in crispsync.", "status": 500}, 500)
    answer = await problem(request, 500, _UNEXPECTED)
    # This handler stands outside the middleware that sets them.
    answer.headers.update(HEADERS)
    return answer
