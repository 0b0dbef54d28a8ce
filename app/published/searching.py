"""What of a list has the words that somebody looks for."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, select

from app.conversations.tables import messages
from app.db import words
from app.db.base import AnySelect
from app.normal import fold_for_search


def has_words(query: AnySelect, column: ColumnElement[Any], q: str | None) -> AnySelect:
    """Every word of `q` somewhere in the folded text; `%` and `_` are letters like others."""
    for word in fold_for_search(q or "").split()[: words.MOST_WORDS]:
        query = query.where(column.like(f"%{escaped(word)}%", escape="\\"))
    return query


def matching_words(query: AnySelect, table: Table, q: str) -> AnySelect:
    """Every word of `q` begins a word of the row's folded text; of the few companies, is in it anywhere."""
    if table.name not in words.SEARCHED:
        return has_words(query, table.c.search, q)
    asked = words.words_of(fold_for_search(q))
    return query.where(words.has_words(table.name, asked)) if asked else query


def saying(query: AnySelect, asked: list[str], *, notes: bool) -> AnySelect:
    """Of messages the ones that have those words, `notes` among them or not; MOST_HITS at most.

    Whose website they are of is asked by `without_index`.
    """
    m = messages.c
    query = query.where(m.deleted_at.is_(None), words.has_words("messages", asked))
    return (query if notes else query.where(m.type != "note")).limit(words.MOST_HITS)


def says(website_id: str, asked: list[str], *, notes: bool) -> AnySelect:
    """The conversations in which a message has those words."""
    m = messages.c
    own = words.without_index(m.website_id) == website_id
    return saying(select(m.conversation_id).where(own), asked, notes=notes)


def escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
