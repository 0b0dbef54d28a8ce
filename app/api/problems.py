"""Every error as problem details (RFC 9457): a status, a title, and one sentence that says what to do."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from app.edits.companies import Taken
from app.edits.contact_form import PROFILE_FIELDS
from app.edits.three_way import Invalid
from app.errors import CrispsyncError

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
_NOT_UNDERSTOOD = "This was not understood, and nothing was done."
_SENTENCES = {
    404: "There is nothing at this address. The addresses are in /api/v1/openapi.json.",
    405: "This address cannot be used with that method; the header Allow names those it takes.",
}


class WrongField(BaseModel):
    field: str = Field(examples=["query.limit"])
    message: str = Field(examples=["Input should be less than or equal to 200"])


class Problem(BaseModel):
    """RFC 9457."""

    type: str = Field("about:blank", examples=["about:blank"])
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no contact of that id here."])
    errors: list[WrongField] | None = Field(None, description="For status 422: what is wrong.")
    holder: str | None = Field(
        None, description="For status 409: the id of the one that has it already."
    )


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[WrongField] | None = None,
    holder: str | None = None,
) -> Response:
    told = Problem(
        title=HTTPStatus(status).phrase, status=status, detail=detail, errors=errors, holder=holder
    )
    body = told.model_dump(exclude_none=True)
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def handle_errors(api: FastAPI) -> None:
    api.add_exception_handler(CrispsyncError, _expected)
    api.add_exception_handler(Invalid, _wrong_fields)
    api.add_exception_handler(Taken, _taken)
    api.add_exception_handler(HTTPException, _http)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(Exception, _unexpected)


async def _expected(_request: Request, error: Exception) -> Response:
    known: Any = error
    return problem(known.http_status, known.message)


async def _wrong_fields(_request: Request, error: Exception) -> Response:
    invalid: Any = error
    errors = [
        WrongField(field=f"body.{_name_of(field)}", message=sentence)
        for field, sentence in invalid.wrong.items()
    ]
    return problem(invalid.http_status, invalid.message, errors=errors)


def _name_of(field: str) -> str:
    """What the API calls a field of a form (app/edits/contact_form.py)."""
    if field in PROFILE_FIELDS:
        return f"attributes.{field}"
    return _NAMES.get(field, "memberships" if field.startswith("membership.") else field)


_NAMES = {
    "owner": "owner_id",
    "main_company": "main_company_id",
    "new_attribute": "attributes",
}


async def _taken(_request: Request, error: Exception) -> Response:
    taken: Any = error
    return problem(taken.http_status, taken.message, holder=taken.holder)


async def _http(_request: Request, error: Exception) -> Response:
    http: Any = error
    if http.status_code == 400:  # FastAPI's own, for bytes that it cannot even begin to read
        return problem(422, f"{_NOT_UNDERSTOOD} The body is no JSON in UTF-8.")
    detail = _SENTENCES.get(http.status_code, str(http.detail))
    return problem(http.status_code, detail, http.headers)


async def _invalid(_request: Request, error: Exception) -> Response:
    invalid: Any = error
    errors = [
        WrongField(field=".".join(str(part) for part in one["loc"]), message=one["msg"])
        for one in invalid.errors()
    ]
    first = f"{errors[0].field}: {errors[0].message}." if errors else ""
    return problem(422, f"{_NOT_UNDERSTOOD} {first}", errors=errors)


async def _unexpected(_request: Request, error: Exception) -> Response:
    log.error("api.failed", error=type(error).__name__)
    return problem(
        500, "A fault in crispsync; nothing was changed. The log of the server has the details."
    )


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status in (400, 401, 403, 404, 409, 410, 412, 413, 422, 429, 502, 503)
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """For `responses=` of a route: those every route may give, and these."""
    return {status: RESPONSES[status] for status in sorted({401, 403, 422, 429, 503, *statuses})}
