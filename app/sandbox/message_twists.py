"""The odd messages: what a conversation's slot (``Odd``) does to ordinary ones."""

from typing import Any

from app.sandbox.cases import Odd

Json = dict[str, Any]

_HUGE = 60_000

_TEXTS: dict[int, tuple[str, ...]] = {
    Odd.NUL: ("before\u0000after", "\u0000", "ends with nul\u0000"),
    Odd.SURROGATE: ("cut in half \ud83d", "\ude00 low first", "two \ud83d\ud83d halves"),
    Odd.SCRIPT: (
        "<script>alert('x')</script>",
        '<img src=x onerror="alert(1)"><b>bold</b>',
        "</textarea><svg/onload=alert(1)> &amp; {{7*7}} ${7*7}",
    ),
    Odd.BAD_URLS: (
        "[click](javascript:alert(1))",
        "javascript:alert(document.domain)",
        "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==",
    ),
    Odd.RTL: ("invoice\u202efdp.exe", "\u200fשלום\u200e mixed \u2067مرحبا\u2069", "\u202eolleh"),
    Odd.ZWJ: (
        "family: 👨\u200d👩\u200d👧\u200d👦 flag: 🏳️\u200d🌈",
        "e\u0301 is not \u00e9, Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
        "zero\u200bwidth\ufeff joined",
    ),
    Odd.HUGE: ("Lorem 🙂 " * (_HUGE // 8), "x" * _HUGE, "word " * 20),
    Odd.FORMULA: (
        "=cmd|' /C calc'!A0",
        '+1+1 "quoted", with; separators\nand\tlines',
        "@SUM(1,1)\r\n-2+3",
    ),
}

_EVENTS = (
    {"namespace": "state:unresolved", "text": "unresolved"},
    {"namespace": "user:blocked"},
    {"namespace": "thread:started", "text": "Refund"},
    {"namespace": "thread:ended"},
    {"namespace": "call:ended", "text": "00:03:12"},
    {"namespace": "moon:landed", "text": "an event of the future"},
    {"namespace": "state:resolved", "text": "resolved"},
)


def _choice(value: str, label: str, *, selected: bool) -> Json:
    return {"value": value, "label": label, "selected": selected}


_TYPED: tuple[tuple[str, Any], ...] = (
    (
        "picker",
        {
            "id": "call-date",
            "text": "When may we call?",
            "choices": [
                {**_choice("today", "Today", selected=False), "icon": "📅"},
                {
                    **_choice("tomorrow", "Tomorrow", selected=True),
                    "action": {"type": "link", "target": "https://example.com/book"},
                },
            ],
            "required": False,
        },
    ),
    (
        "field",
        {
            "id": "email-field",
            "text": "Your e-mail?",
            "explain": "Enter your e-mail",
            "value": "someone@example.org",
            "required": True,
        },
    ),
    (
        "carousel",
        {
            "text": "Our plans",
            "targets": [
                {
                    "title": "Pro",
                    "description": "For teams",
                    "image": "https://media.example.com/pro.png",
                    "actions": [{"label": "View", "url": "https://example.com/pro"}],
                },
                {
                    "title": "Bad",
                    "description": "",
                    "actions": [{"label": "x", "url": "javascript:alert(1)"}],
                },
            ],
        },
    ),
    ("audio", {"url": "https://files.example.com/a.mp3", "type": "audio/mp3", "duration": 40}),
    ("animation", {"url": "https://media.example.com/cat.gif", "type": "image/gif"}),
    ("file", {"name": "<b>me</b>.pdf", "url": "javascript:alert(1)", "type": "text/html"}),
    ("note", "Only for colleagues: *patient* customer"),
    ("x-poll", {"question": "Which?", "answers": ["a", "b"], "votes": {"a": 1}}),
    ("hologram", "a plain text of an unknown type"),
    ("x-empty", None),
)

_CONTENTS: tuple[tuple[str, Any], ...] = (
    ("text", ""),
    ("file", {"name": "", "url": "", "type": ""}),
    ("file", {"url": "https://files.example.com/nameless"}),
    ("picker", {"id": "p", "text": "No choices", "choices": []}),
    ("field", {"id": "f", "text": "Not answered", "explain": "", "value": ""}),
    ("event", {"namespace": "state:pending"}),
    ("audio", {"url": "https://files.example.com/b.ogg", "type": "audio/ogg", "duration": 65_535}),
    ("text", "   \n\t "),
)

_BY_OPERATORS = ("note", "event", "picker", "carousel")
ODD_MESSAGES: tuple[tuple[str, Any, bool], ...] = (
    *(("text", text, True) for texts in _TEXTS.values() for text in texts),
    *((kind, said, kind not in _BY_OPERATORS) for kind, said in (*_TYPED, *_CONTENTS)),
    *(("event", said, False) for said in _EVENTS),
)
"""Every odd message as (type, content, whether a visitor sends it)."""


def twist_message(odd: int, j: int, body: Json, total: int) -> None:
    """Make message j of ``total`` the odd one its conversation is known for."""
    texts = _TEXTS.get(odd)
    if texts is not None and j < len(texts):
        body["type"], body["content"] = "text", texts[j]
    elif odd == Odd.TYPES and 2 <= j < 2 + len(_TYPED):
        _become(body, *_TYPED[j - 2])
    elif odd == Odd.CONTENTS and 1 <= j <= len(_CONTENTS):
        _become(body, *_CONTENTS[j - 1])
    elif odd == Odd.EVENTS and 2 <= j < 2 + len(_EVENTS):
        _become(body, "event", _EVENTS[j - 2])
    elif odd == Odd.HALF_MISSING:
        _thin_out(body, j)
    elif odd == Odd.ABSURD_TIMES:
        body["preview"] = [{"url": "https://example.com", "title": "", "stamped": "0"}]
        body["ignored"] = {"chat": {"type": "muted", "reason": -1}}
    elif odd == Odd.BAD_URLS and j == total - 1:
        body["references"] = [{"type": "link", "name": "x", "target": "javascript:alert(1)"}]
        body["properties"] = {"=k": "=v", "n": 1, "yes": True}


def _become(body: Json, kind: str, content: Any) -> None:
    body["type"], body["content"] = kind, content
    if kind in _BY_OPERATORS and body["from"] == "user":
        body["from"] = "operator"
        body["user"] = {"type": "website", "user_id": "", "nickname": None, "avatar": None}


def _thin_out(body: Json, j: int) -> None:
    """Leave out or null what Crisp says is optional, another part in each message."""
    if j % 3 == 0:
        for name in ("preview", "mentions", "read", "delivered", "translated", "origin"):
            body.pop(name, None)
    elif j % 3 == 1:
        body.update(preview=None, mentions=None, edited=None, user=None)
    else:
        body["user"] = {"nickname": ""}
        body.pop("automated", None)
