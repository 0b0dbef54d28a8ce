"""Answers with an ETag: who has the same already gets 304."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fastapi import Request, Response
from pydantic import BaseModel


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


def _tag(body: bytes) -> str:
    return f'"{hashlib.blake2b(body, digest_size=16).hexdigest()}"'


def _names(header: str | None, tag: str) -> bool:
    given = [one.strip().removeprefix("W/") for one in (header or "").split(",")]
    return tag in given or "*" in given
