"""`/healthz`, `/readyz` and `/metrics` (CONTRACT, HTTP), and who may read figures."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from app.db.session import Database
from app.errors import DatabaseAway
from app.probes.loop_lag import LoopLag
from app.probes.metrics import render
from app.probes.readiness import read_parts
from app.settings import Settings

_BY_A_PROXY = ("forwarded", "x-forwarded-for", "x-real-ip")


def install_probes(app: FastAPI, settings: Settings) -> None:
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    async def readyz(request: Request) -> JSONResponse:
        parts, ready = await read_parts(request.app.state.db, settings.redis_url)
        return JSONResponse(parts, status_code=200 if ready else 503)

    async def metrics(request: Request) -> Response:
        if not may_read(request, settings):
            return PlainTextResponse(
                "Figures are for this machine, or for who has METRICS_TOKEN.\n", status_code=403
            )
        db: Database = request.app.state.db
        try:
            state = request.app.state
            text = await render(db, settings, state.loop_lag, state.request_figures)
        except DatabaseAway:
            return PlainTextResponse("The database does not answer.\n", status_code=503)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    for path, probe in (("/healthz", healthz), ("/readyz", readyz), ("/metrics", metrics)):
        app.add_api_route(path, probe, methods=["GET"], response_model=None)


def may_read(request: Request, settings: Settings) -> bool:
    """With METRICS_TOKEN: who has it. Without: this machine, not what a proxy on it passes on."""
    if settings.metrics_token is not None:
        wanted = f"Bearer {settings.metrics_token.get_secret_value()}".encode()
        return hmac.compare_digest(request.headers.get("authorization", "").encode(), wanted)
    if request.client is None or any(name in request.headers for name in _BY_A_PROXY):
        return False
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(request.client.host).is_loopback
    return False


@asynccontextmanager
async def watching_the_loop(app: FastAPI) -> AsyncIterator[None]:
    app.state.loop_lag = LoopLag()
    watching = asyncio.create_task(app.state.loop_lag.watch())
    try:
        yield
    finally:
        watching.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await watching
