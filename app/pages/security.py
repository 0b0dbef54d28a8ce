"""Which names the pages answer to, whose forms count, and the headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.accounts.sessions import Session
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
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
ONLY_HTTPS = "max-age=31536000"
FORM_FIELD = "csrf"
FORM_HEADER = "X-Form-Token"
# Hooks come under the public name and prove themselves by their signature, programs by their token;
# probes come by address.
ANY_NAME = ("/webhooks/", "/api/", "/healthz", "/readyz", "/metrics")

Refuse = Callable[[str], ASGIApp]


class ForeignRequest(CrispsyncError):
    http_status = 403


class KnownNames:
    """Sets the security headers, and refuses a Host that is neither PUBLIC_URL's nor a loopback name.

    A page of a stranger whose name was made to point here (DNS rebinding) would otherwise be the
    same origin for the browser.
    """

    def __init__(self, app: ASGIApp, refuse: Refuse) -> None:
        self.app = app
        self.refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        app, public = self.app, public_url_of(scope["app"])
        host = Headers(scope=scope).get("host", "")
        if not scope["path"].startswith(ANY_NAME) and not is_known(host, public):
            app = self.refuse(
                "These pages do not answer to that name. Open them at the address that PUBLIC_URL "
                "names, or on their own machine at http://127.0.0.1 with the port of this server."
            )
        await app(scope, receive, _with_headers(send, public))


def public_url_of(app: Any) -> str:
    """PUBLIC_URL; empty where the program was told none."""
    return str(getattr(app.state, "public_url", ""))


def _with_headers(send: Send, public_url: str) -> Callable[[Message], Awaitable[None]]:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if public_url.startswith("https:"):
                headers.setdefault("Strict-Transport-Security", ONLY_HTTPS)
        await send(message)

    return send_with_headers


def is_known(host: str, public_url: str) -> bool:
    name = host_name(host)
    return is_loopback(host) or (bool(name) and name == host_name(urlsplit(public_url).netloc))


def host_name(host: str) -> str:
    """The name in a Host header, without its port; empty for nonsense."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    name = host_name(host)
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_own_request(headers: Mapping[str, str]) -> bool:
    """Whether a form of these pages sent it, as far as its headers tell.

    With `Referrer-Policy: no-referrer` a browser writes `Origin: null` on our own forms, so a
    browser that says `same-origin` is believed, and without that word the origin must be ours.
    Whoever sends neither is no browser.
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
    return origin is None or urlsplit(origin).netloc == host


def require_own_origin(request: Request) -> None:
    """Raises ForeignRequest when another site's page sent it."""
    if not is_own_request(request.headers):
        raise ForeignRequest(
            "This came from another site, so nothing was done. Open the page here and press the "
            "button again."
        )


def session_of(request: Request) -> Session | None:
    """What app/pages/doors.py found."""
    session: Session | None = getattr(request.state, "session", None)
    return session


async def require_own_request(request: Request) -> None:
    """A dependency of every route that changes something: its page was made here, for this session.

    Raises ForeignRequest.
    """
    require_own_origin(request)
    told = request.headers.get(FORM_HEADER)
    require_form_token(request, told or (await request.form()).get(FORM_FIELD))


def require_form_token(request: Request, token: object) -> None:
    """Raises ForeignRequest when the form was not made for this session (FAILURES case 94)."""
    session = session_of(request)
    given = token.encode(errors="replace") if isinstance(token, str) else b""
    if session is None or not hmac.compare_digest(given, session.form_token.encode()):
        raise ForeignRequest(
            "This form is from an earlier login, so nothing was done. Open the page again and press "
            "the button once more."
        )
