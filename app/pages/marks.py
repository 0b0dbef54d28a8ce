"""Where a search's words stand in a text, marked; of a long text, the part around the first of them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup, escape

from app.pages.text import clean
from app.published.excerpts import AROUND, Words


class Marks:
    """`marks(text)` is escaped and short, with `<mark>` around what was looked for."""

    def __init__(self, words: Sequence[str]) -> None:
        self._words = Words(words)

    def __call__(self, text: object, around: int = AROUND) -> Markup:
        shown = self._words.excerpt(" ".join(clean(text)[:100_000].split()), around)
        parts: list[Markup] = []
        at = 0
        for first, last in shown.places:
            parts += [
                escape(shown.text[at:first]),
                Markup("<mark>{}</mark>").format(shown.text[first:last]),
            ]
            at = last
        parts.append(escape(shown.text[at:]))
        return Markup("{}{}{}").format(
            "… " if shown.before else "", Markup("").join(parts), " …" if shown.after else ""
        )
