"""Where a search's words stand in a text, marked; of a long text, the part around the first of them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cached_property

from markupsafe import Markup, escape

from app.pages.text import clean

AROUND = 90
"""Characters of a long text shown before and after the first word."""


class Marks:
    """`marks(text)` is escaped and short, with `<mark>` around what was looked for."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = [plain(word) for word in words]

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # A word is found where it begins one, as the search itself finds it.
        return re.compile(
            "|".join(rf"(?<!\w){re.escape(word)}\w*" for word in self.words) or "(?!)"
        )

    def __call__(self, text: object, around: int = AROUND) -> Markup:
        shown = " ".join(clean(text)[:100_000].split())
        places = [match.span() for match in self._pattern.finditer(plain(shown))]
        start, end = _window(len(shown), places[0] if places else (0, 0), around)
        parts: list[Markup] = []
        at = start
        for first, last in places:
            if first < at or last > end:
                continue
            parts += [escape(shown[at:first]), Markup("<mark>{}</mark>").format(shown[first:last])]
            at = last
        parts.append(escape(shown[at:end]))
        return Markup("{}{}{}").format(
            "… " if start else "", Markup("").join(parts), " …" if end < len(shown) else ""
        )


def _window(length: int, first: tuple[int, int], around: int) -> tuple[int, int]:
    if length <= 2 * around:
        return 0, length
    start = max(0, first[0] - around // 2)
    return start, min(length, max(first[1], start + 2 * around))


def plain(text: str) -> str:
    """Small letters without accents, as many characters as before."""
    return "".join(_letter(character) for character in text)


def _letter(character: str) -> str:
    return unicodedata.normalize("NFD", character)[0].lower()[0]
