"""Answers with an ETag: who has the same already gets 304, who changes what it has not seen 412."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, TypeAlias

from fastapi import Header, Request, Response
from pydantic import BaseModel

from app.errors import OutOfDate

IfMatch: TypeAlias = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description="The `ETag` with which it was read: 412 where somebody changed it since.",
        max_length=400,
    ),
]


def answer(
    request: Request,
    told: BaseModel,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = told.model_dump_json().encode()
    tag = _tag(body)
    given = {"ETag": tag, "Cache-Control": "private, no-cache", **(headers or {})}
    if request.method == "GET" and _names(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=given)
    return Response(body, status, given, media_type="application/json")


def require_match(seen: str | None, now: BaseModel) -> None:
    """Raises OutOfDate where `seen`, an If-Match, names another state than `now`."""
    if seen is not None and not _names(seen, _tag(now.model_dump_json().encode())):
        raise OutOfDate(
            "It changed since you read it, so nothing was done: read it again, and decide anew."
        )


def _tag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def _names(header: str | None, tag: str) -> bool:
    given = [one.strip().removeprefix("W/") for one in (header or "").split(",")]
    return tag in given or "*" in given
