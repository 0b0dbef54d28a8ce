"""A real HTTP server and a real SMTP server that keep what they get."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, Envelope
from standardwebhooks import Webhook

from tests.fixtures.valkey import free_port


@dataclass
class Hooks:
    """What arrived, as the library verified it; `answer` is the status it is answered with."""

    port: int
    secret: str = ""
    answer: int = 204
    got: list[Any] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?key=in-the-address"


@contextmanager
def receiving_hooks(port: int | None = None) -> Iterator[Hooks]:
    hooks = Hooks(port or free_port())

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            if hooks.secret:
                hooks.got.append(Webhook(hooks.secret).verify(body, headers))
            hooks.ids.append(headers["webhook-id"])
            hooks.agents.append(headers["user-agent"])
            self.send_response(hooks.answer)
            if 300 <= hooks.answer < 400:
                self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", hooks.port), Receiver)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


Tls = Literal["none", "starttls", "smtps"]


@dataclass
class Mails:
    """What arrived; `ciphers` by which each came, None for none; `tried` each password that was sent."""

    port: int
    scheme: str = "smtp"
    host: str = "127.0.0.1"
    got: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    ciphers: list[Any] = field(default_factory=list)
    tried: list[bytes] = field(default_factory=list)
    refuse: bool = False

    @property
    def url(self) -> str:
        return f"{self.scheme}://team:p%40ss@{self.host}:{self.port}"

    # The names are aiosmtpd's.
    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope, address: str, options: Any
    ) -> str:
        if self.refuse:
            return "550 nobody of that name"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Envelope
    ) -> str:
        assert isinstance(envelope.content, bytes)
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        self.got.append(mail)
        self.ciphers.append(server.transport.get_extra_info("cipher"))
        self.to += envelope.rcpt_tos
        return "250 OK"


@contextmanager
def receiving_mail(
    tls: Tls = "none", context: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> Iterator[Mails]:
    """It wants the password `p@ss` of `team`. With "starttls" it takes nothing without."""
    mails = Mails(free_port(), "smtps" if tls == "smtps" else "smtp", host)

    def know(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> AuthResult:
        mails.tried.append(data.password)
        right = (data.login, data.password) == (b"team", b"p@ss")
        return AuthResult(success=right, handled=False)

    controller = Controller(
        mails,
        hostname=host,
        port=mails.port,
        authenticator=know,
        auth_required=True,
        auth_require_tls=tls == "starttls",
        ssl_context=context if tls == "smtps" else None,
        tls_context=context if tls == "starttls" else None,
        require_starttls=tls == "starttls",
    )
    controller.start()
    try:
        yield mails
    finally:
        controller.stop()
