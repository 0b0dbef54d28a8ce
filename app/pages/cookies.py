"""The cookies of sessions (FAILURES cases 94, 95).

On HTTPS their names begin with `__Host-`: no other host of the domain can set them. Browsers allow
that only with Secure, so on http (this machine only, as a rule) they have plain names. Which of
the two counts is decided by the request, so that a plain one never counts on HTTPS.
"""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from fastapi import Request, Response

from app.accounts.sessions import Kind, Session
from app.pages.security import host_name, public_url_of

Cookie = Kind | Literal["browser"]
_NAMES: dict[Cookie, str] = {
    "login": "crispsync",
    "frame": "crispsync-frame",
    "browser": "crispsync-browser",
}
_BROWSER_SECONDS = 180 * 24 * 3600


def is_secure(request: Request) -> bool:
    """Whether it came by HTTPS: under the public name when that is an HTTPS address."""
    public = urlsplit(public_url_of(request.app))
    asked = host_name(request.headers.get("host", ""))
    return request.url.scheme == "https" or (
        public.scheme == "https" and asked == (public.hostname or "")
    )


def cookie_name(request: Request, kind: Cookie) -> str:
    return f"__Host-{_NAMES[kind]}" if is_secure(request) else _NAMES[kind]


def read_cookie(request: Request, kind: Cookie) -> str:
    return request.cookies.get(cookie_name(request, kind), "")


def keep_session(request: Request, response: Response, token: str, kind: Kind) -> None:
    """Until the browser closes; the server ends it earlier."""
    _set(request, response, kind, token)


def keep_browser(request: Request, response: Response, word: str) -> None:
    _set(request, response, "browser", word, _BROWSER_SECONDS)


def forget_session(request: Request, response: Response, session: Session) -> None:
    _set(request, response, session.kind, "", 0)


def _set(
    request: Request, response: Response, kind: Cookie, value: str, seconds: int | None = None
) -> None:
    secure = is_secure(request)
    # Written by hand: the standard library of Python 3.11 does not know Partitioned.
    parts = [f"{cookie_name(request, kind)}={value}", "Path=/", "HttpOnly"]
    if seconds is not None:
        parts.append(f"Max-Age={seconds}")
    if kind == "frame" and secure:
        parts += ["SameSite=None", "Secure", "Partitioned"]
    else:
        parts += ["SameSite=Lax", *(["Secure"] if secure else [])]
    response.headers.append("Set-Cookie", "; ".join(parts))
