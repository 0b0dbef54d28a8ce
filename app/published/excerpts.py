"""Of a text the part around the first of the words that were looked for, and where they stand in it. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

AROUND = 90
"""Characters of a long text shown before and after the first word."""


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`places`: begin and end of each word in `text`. `before`, `after`: there is more on that side."""

    text: str
    places: tuple[tuple[int, int], ...]
    before: bool
    after: bool

    def written(self) -> str:
        return f"{'… ' if self.before else ''}{self.text}{' …' if self.after else ''}"


class Words:
    """`words.excerpt(text)` of a text in one line."""

    def __init__(self, words: Sequence[str]) -> None:
        plain_words = [plain(word) for word in words]
        # A word is found where it begins one, as the search itself finds it.
        self._pattern = re.compile(
            "|".join(rf"(?<!\w){re.escape(word)}\w*" for word in plain_words) or "(?!)"
        )

    def excerpt(self, line: str, around: int = AROUND) -> Excerpt:
        places = [match.span() for match in self._pattern.finditer(plain(line))]
        start, end = _window(len(line), places[0] if places else (0, 0), around)
        shown = tuple((a - start, b - start) for a, b in places if a >= start and b <= end)
        return Excerpt(line[start:end], shown, start > 0, end < len(line))


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
