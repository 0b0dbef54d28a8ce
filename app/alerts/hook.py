"""An outgoing web hook after Standard Webhooks: signed, to a checked address, without redirects (FAILURES case 97).

The name is resolved here, every address that it has is looked at, and the connection goes to one of
those that were looked at: a name that changes its mind in between leads nowhere else.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import orjson
from standardwebhooks import Webhook

from app import clock
from app.errors import CrispsyncError, Refused

TIMEOUT = httpx.Timeout(10, connect=5)
LONGEST = 2000


class NotTaken(CrispsyncError):
    """Whoever was to take it did not; trying again may help."""


class Gone(CrispsyncError):
    """The receiver wants nothing any more (410)."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a checked address leads; `ip` is one of those that were looked at."""

    url: str
    scheme: str
    host: str
    netloc: str
    port: int
    ip: str


async def check(url: str, *, private: bool) -> Place:
    """Raises Refused for what must not be called, or leads nowhere.

    `private`: whether addresses within the own network may be called, and loopback without https.
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not host or len(url) > LONGEST or not url.isascii() or not url.isprintable() or " " in url:
        raise Refused("That is no web address. Write it as https://host/path.")
    if parts.username is not None or parts.fragment:
        raise Refused("A web hook's address holds no name, password or fragment.")
    found = await _addresses(host, port or (443 if parts.scheme == "https" else 80))
    if parts.scheme != "https" and not (
        parts.scheme == "http" and private and all(one.is_loopback for one in found)
    ):
        raise Refused("A web hook's address begins with https://.")
    if not private and not all(_is_public(one) for one in found):
        raise Refused(
            "That address is within a private network, where alerts are not sent. "
            "ALERTS_TO_PRIVATE=true allows it."
        )
    port = port or (443 if parts.scheme == "https" else 80)
    return Place(url, parts.scheme, host, parts.netloc, port, str(found[0]))


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


async def _addresses(host: str, port: int) -> list[_Address]:
    """Every address of the name. Raises Refused."""
    loop = asyncio.get_running_loop()
    try:
        rows = await asyncio.wait_for(loop.getaddrinfo(host, port, type=socket.SOCK_STREAM), 5)
    except (OSError, UnicodeError, TimeoutError):
        raise Refused(f"There is no machine of the name {host[:200]}.") from None
    return [ipaddress.ip_address(str(row[4][0]).partition("%")[0]) for row in rows]


def _is_public(address: _Address) -> bool:
    """Also what an IPv6 address carries inside must be public."""
    if isinstance(address, ipaddress.IPv6Address):
        if address in _NAT64:
            return _is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
        if address.teredo is not None or address.sixtofour is not None:
            return False
        if address.ipv4_mapped is not None:
            return _is_public(address.ipv4_mapped)
    return address.is_global and not address.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


async def send(url: str, secret: str, message_id: str, payload: object, *, private: bool) -> None:
    """Raises Refused, NotTaken, Gone."""
    place = await check(url, private=private)
    body = orjson.dumps(payload).decode()
    moment = clock.now()
    headers = {
        "Host": place.netloc,
        "Content-Type": "application/json",
        "User-Agent": "crispsync",
        "webhook-id": f"msg_{message_id}",
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(f"msg_{message_id}", moment, body),
    }
    target = httpx.URL(url).copy_with(host=place.ip)
    try:
        async with (
            httpx.AsyncClient(timeout=TIMEOUT, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "POST",
                target,
                content=body,
                headers=headers,
                # The certificate must be of the name, though the connection goes to the address.
                extensions={"sni_hostname": place.host},
            ) as answer,
        ):
            status = answer.status_code
    except httpx.HTTPError as error:
        raise NotTaken(f"It could not be reached ({type(error).__name__}).") from None
    if status == 410:
        raise Gone("The receiver answered 410: it wants no more of them.")
    if not 200 <= status < 300:
        raise NotTaken(f"It was answered {status}.")
