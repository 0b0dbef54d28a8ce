"""Text from strangers, made fit to be looked at: it is data, never markup (SPEC P5, FAILURES 68-70)."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from markupsafe import Markup, escape

# Control characters say nothing to a reader; overrides can make `exe.jpg` out of `gpj.exe` and are
# in no honest text. Marks and isolates stay: right-to-left text needs them, and <bdi> confines them.
_UNSHOWN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\ufff9-\ufffb]")
_LINK = re.compile(r"https?://[^\s<>\"'`\\]+", re.IGNORECASE)
_CLOSING = {")": "(", "]": "[", "}": "{"}

FOLD_CHARS = 1_000
FOLD_LINES = 16
SHOWN_CHARS = 50_000
"""A page shows no more of one message; what is longer says so and is whole in the database."""


class Fold(NamedTuple):
    """A message's text: `excerpt` is set when it is long enough to be folded."""

    excerpt: str | None
    shown: str
    cut: int


def clean(value: object) -> str:
    return _UNSHOWN.sub("", str(value).replace("\r\n", "\n").replace("\r", "\n"))


def one_line(value: object, limit: int = 140) -> str:
    """The start of a text in one line, cut at a word where there is one."""
    line = " ".join(clean(value)[: limit * 4].split())
    if len(line) <= limit:
        return line
    head = line[:limit]
    at_word = head.rsplit(" ", 1)[0]
    return (at_word if len(at_word) > limit // 2 else head).rstrip("\u200d\ufe0f ,.;:") + "…"


def fold(body: str) -> Fold:
    text = clean(body)
    shown = text[:SHOWN_CHARS]
    lines = shown.split("\n")
    if len(shown) <= FOLD_CHARS and len(lines) <= FOLD_LINES:
        return Fold(None, shown, 0)
    excerpt = "\n".join(lines[:FOLD_LINES])[: FOLD_CHARS * 2 // 3].rstrip()
    return Fold(excerpt + " …", shown, len(text) - len(shown))


def safe_url(value: object) -> str | None:
    """An address that may become a link: http or https with a host, nothing hidden in it."""
    if not isinstance(value, str) or len(value) > 2_000 or _UNSHOWN.search(value):
        return None
    try:
        parts = urlsplit(value.strip())
        host = parts.hostname
    except ValueError:
        return None
    return value.strip() if parts.scheme.lower() in {"http", "https"} and host else None


def host_of(url: str) -> str:
    return urlsplit(url).hostname or url


def anchor(url: str, label: str) -> Markup:
    """Leads away from the page: the other side learns nothing of where the reader came from."""
    return Markup('<a href="{}" target="_blank" rel="noopener noreferrer nofollow">{}</a>').format(
        url, label
    )


def linked(text: object) -> Markup:
    """Escaped text in which http and https addresses can be clicked."""
    shown = clean(text)
    parts: list[Markup] = []
    end = 0
    for match in _LINK.finditer(shown):
        url = _without_trailing_marks(match.group())
        if safe_url(url) is None:
            continue
        parts += [escape(shown[end : match.start()]), anchor(url, url)]
        end = match.start() + len(url)
    parts.append(escape(shown[end:]))
    return Markup("").join(parts)


def _without_trailing_marks(url: str) -> str:
    while url:
        last = url[-1]
        unpaired = last in _CLOSING and url.count(last) > url.count(_CLOSING[last])
        if last not in ".,;:!?*_~" and not unpaired:
            return url
        url = url[:-1]
    return url


def initials(name: object) -> str:
    """One or two letters for the round mark beside a name; empty when the name has none."""
    firsts = [word[0] for word in clean(name).replace("@", " ").split() if word[0].isalnum()]
    if not firsts:
        return ""
    wide = any(ord(letter) > 0x2E80 for letter in firsts[:2])
    return (firsts[0] if len(firsts) == 1 or wide else firsts[0] + firsts[-1]).upper()


def number(value: int | float | None) -> str:
    return "0" if value is None else f"{int(value):,}"


def plural(count: int | None, one: str, many: str | None = None) -> str:
    return f"{number(count)} {one if count == 1 else many or one + 's'}"
