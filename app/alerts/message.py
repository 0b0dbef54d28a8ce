"""What is said about an alert: one JSON document, and the same as an e-mail."""

from __future__ import annotations

from datetime import datetime
from email.message import EmailMessage
from typing import Any, Literal, cast
from urllib.parse import urlencode

from app.clock import EPOCH, now
from app.doctor.findings import CAUSES

What = Literal["opened", "reminded", "resolved", "test"]
EVIDENCE_AT_MOST = 1000
_SUBJECT = {"opened": "", "reminded": "Still: ", "resolved": "Resolved: ", "test": "Test: "}


def about(alert: dict[str, Any], what: What, website_name: str | None, public_url: str) -> Any:
    """The document that is kept and sent; `alert` is a row of `alerts`."""
    cause, website_id = CAUSES[alert["cause"]], alert["website_id"]
    data = {
        "alert_id": alert["id"],
        "cause": alert["cause"],
        "website_id": website_id,
        "website_name": website_name,
        "sentence": cause.sentence,
        "evidence": alert["evidence"],
        "remedy": cause.remedy,
        "opened_at": _iso(alert["opened_at"]),
        "resolved_at": _iso(alert.get("resolved_at")),
        "url": _page(public_url, website_id),
    }
    return {"type": f"alert.{what}", "timestamp": _iso(now()), "data": data}


def trial(website_id: str | None, website_name: str | None, public_url: str) -> Any:
    """The document of the test button."""
    data = {
        "alert_id": None,
        "cause": "test",
        "website_id": website_id,
        "website_name": website_name,
        "sentence": "This is a test: alerts of crispsync arrive here.",
        "evidence": "Somebody pressed the button for it.",
        "remedy": "Nothing.",
        "opened_at": _iso(now()),
        "resolved_at": None,
        "url": _page(public_url, website_id),
    }
    return {"type": "alert.test", "timestamp": _iso(now()), "data": data}


def as_mail(payload: Any, message_id: str, sender: str, to: str) -> EmailMessage:
    """Raises ValueError when an address cannot stand in a header."""
    data, what = payload["data"], cast("What", payload["type"].removeprefix("alert."))
    mail = EmailMessage()
    name = f"{_line(data['website_name'])}: " if data["website_name"] else ""
    mail["Subject"] = f"[crispsync] {_SUBJECT[what]}{name}{_line(data['sentence'])}"
    mail["From"], mail["To"] = sender, to
    mail["Date"] = now()
    mail["Message-ID"] = f"<{message_id}@{sender.rpartition('@')[2].strip('> ')}>"
    # Nobody's out-of-office note is wanted (RFC 3834).
    mail["Auto-Submitted"] = "auto-generated"
    since = f"Since {data['opened_at']}" + (
        f", resolved {data['resolved_at']}." if data["resolved_at"] else "."
    )
    mail.set_content(
        f"{data['sentence']}\n\n{data['evidence']}\n{since}\n\nWhat to do: {data['remedy']}\n\n"
        f"{data['url']}\n"
    )
    return mail


def _line(text: str) -> str:
    return " ".join(text.split())[:200]


def _page(public_url: str, website_id: str | None) -> str:
    query = f"?{urlencode({'website': website_id})}" if website_id else ""
    return f"{public_url.rstrip('/')}/settings/connection{query}"


def _iso(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return f"{(EPOCH + (moment - EPOCH)).isoformat(timespec='milliseconds')[:23]}Z"
