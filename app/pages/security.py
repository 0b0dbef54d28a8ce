"""Who may talk to the pages while there is no login: a browser on this machine, on these pages."""

from __future__ import annotations

import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import CrispsyncError

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
# Hooks come under the public name and prove themselves by their signature, programs by their token;
# probes come by address.
OPEN_PATHS = ("/webhooks/", "/api/", "/healthz", "/readyz")

Refuse = Callable[[str], ASGIApp]


class ForeignRequest(CrispsyncError):
    http_status = 403


class OnlyFromHere:
    """Sets the security headers, and refuses a Host that is no loopback name.

    A page of a stranger whose name was made to point at 127.0.0.1 (DNS rebinding) would otherwise
    read everything: for the browser it is the same origin.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self.app = app
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        app = self.app
        host = Headers(scope=scope).get("host", "")
        if not scope["path"].startswith(OPEN_PATHS) and not is_loopback(host):
            app = self.refuse(
                "These pages are served to this machine only: open them at http://127.0.0.1 or "
                "http://localhost, with the port of this server."
            )
        await app(scope, receive, _with_headers(send))


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        await send(message)

    return send_with_headers


def is_loopback(host: str) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_request(headers: Mapping[str, str]) -> bool:
    """Whether a form of these pages sent it.

    With `Referrer-Policy: no-referrer` a browser writes `Origin: null` on our own forms, so a
    browser that says `same-origin` is believed, and without that word the origin must be ours.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    host = headers.get("host", "")
    if site is not None:
        return site == "same-origin" and origin in (
            None,
            "null",
            f"http://{host}",
            f"https://{host}",
        )
    if origin is not None:
        return urlsplit(origin).netloc == host and is_loopback(host)
    return is_loopback(host)


def require_own_request(request: Request) -> None:
    """A dependency of every route that changes something."""
    if not is_own_request(request.headers):
        raise ForeignRequest(
            "This came from another site, so nothing was done. Open the page here and press the "
            "button again."
        )
