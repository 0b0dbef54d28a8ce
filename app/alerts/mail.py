"""Sending an e-mail by SMTP: over TLS wherever the server offers it, and no password without it."""

from __future__ import annotations

import asyncio
import smtplib
import ssl
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

from app.alerts.hook import NotTaken
from app.errors import Refused
from app.settings import Settings

TIMEOUT = 15.0
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def sender(settings: Settings) -> str:
    """MAIL_FROM, or a name at this installation's host."""
    host = urlsplit(settings.public_url).hostname or "localhost"
    return settings.mail_from or f"crispsync@{host}"


def can_mail(settings: Settings) -> bool:
    return settings.smtp_url is not None


async def send(settings: Settings, mail: EmailMessage) -> None:
    """Raises Refused when there is no server to send it by, NotTaken."""
    if settings.smtp_url is None:
        raise Refused("No mail server is set: SMTP_URL=smtp://user:password@host:587.")
    address = settings.smtp_url.get_secret_value()
    try:
        await asyncio.to_thread(_send, address, mail)
    except smtplib.SMTPResponseException as error:
        raise NotTaken(f"The mail server answered {error.smtp_code}.") from None
    except smtplib.SMTPRecipientsRefused as error:
        codes = ", ".join(str(code) for code, _ in error.recipients.values())
        raise NotTaken(f"The mail server refused the address ({codes}).") from None
    except ssl.SSLCertVerificationError as error:
        why = error.verify_message.rstrip(".")
        raise NotTaken(f"The mail server's certificate is not trusted: {why}.") from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotTaken(f"The mail server could not be used ({type(error).__name__}).") from None


def _send(address: str, mail: EmailMessage) -> None:
    parts = urlsplit(address)
    host, context = parts.hostname or "localhost", ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, parts.port or 465, timeout=TIMEOUT, context=context)
    else:
        server = smtplib.SMTP(host, parts.port or 587, timeout=TIMEOUT)
    with server:
        server.ehlo()
        secure = parts.scheme == "smtps"
        if not secure and server.has_extn("starttls"):
            server.starttls(context=context)
            secure = True
        if parts.username:
            if not secure and host not in LOOPBACK:
                raise Refused("The mail server offers no TLS, so the password is not sent to it.")
            server.login(unquote(parts.username), unquote(parts.password or ""))
        server.send_message(mail)
