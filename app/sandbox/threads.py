"""The conversations of a website: computed ones with what has changed since laid over them.

Only changed records are held in memory; the rest is computed from its number when asked for.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import Any

from app.sandbox.cases import Case, Casebook, case, fingerprint, moments, session_id
from app.sandbox.chance import index_of
from app.sandbox.conversations import cast_of, conversation, inbox_of, person_named, updated_at
from app.sandbox.messages import Cast, message
from app.sandbox.ordering import TimeOrder, pack

Json = dict[str, Any]
# A message in a thread: (timestamp in ms, the number it is computed from, or the message itself).
Row = tuple[int, int | Json]


@dataclass(slots=True)
class Overlay:
    """What differs from the computed conversation."""

    born: bool = False
    updated_at: int = 0
    patch: Json = field(default_factory=dict)
    meta: Json = field(default_factory=dict)
    rows: list[Row] | None = None
    edits: dict[int, Any] = field(default_factory=dict)
    gone: list[Row] = field(default_factory=list)
    removed_at: int | None = None


class Threads:
    """Conversations with their messages, and the orders the lists are read in."""

    def __init__(self, website_id: str, book: Casebook) -> None:
        self.website_id = website_id
        self.book = book
        self.overlays: dict[int, Overlay] = {}
        self.conversations_total = book.size
        entries, filled = [], []
        for i in range(book.size):
            of = case(book, i)
            entry = pack(updated_at(of), i)
            entries.append(entry)
            if of.messages:
                filled.append(entry)
        self.by_update = TimeOrder(entries)
        self.by_update_filled = TimeOrder(filled)
        self._by_creation: TimeOrder | None = None

    def number_of(self, session: str) -> int | None:
        """The number of a conversation that exists and is not removed."""
        i = self.number_ever(session)
        if i is None:
            return None
        over = self.overlays.get(i)
        return None if over is not None and over.removed_at is not None else i

    def number_ever(self, session: str) -> int | None:
        if not session.startswith("session_"):
            return None
        return index_of(self.book.key ^ 0x5E, session[8:], self.conversations_total)

    def session_id(self, i: int) -> str:
        return session_id(self.book, i)

    def case(self, i: int) -> Case:
        return case(self.book, i)

    def cast(self, i: int) -> Cast:
        return cast_of(self.book, case(self.book, i), self.website_id)

    def conversation(self, i: int) -> Json:
        """The whole conversation object as it is now."""
        of, over = case(self.book, i), self.overlays.get(i)
        cast = cast_of(self.book, of, self.website_id)
        body = conversation(self.book, of, cast)
        rows = self._rows(of, over)
        body["created_at"] = _created_at(of, over, rows, body["updated_at"])
        if over is not None:
            body.update(over.patch)
            body["meta"].update(over.meta)
            body["updated_at"] = over.updated_at
        if rows:
            _show_last(body, _spelt(of, over, rows[-1], cast))
        else:
            body["last_message"] = ""
        return body

    def updated_at(self, i: int) -> int:
        over = self.overlays.get(i)
        return over.updated_at if over is not None else updated_at(case(self.book, i))

    def created_at(self, i: int) -> int:
        of, over = case(self.book, i), self.overlays.get(i)
        if over is not None and "created_at" in over.patch:
            return int(over.patch["created_at"])
        return _created_at(of, over, self._rows(of, over), updated_at(of))

    def people_id_in(self, i: int) -> str | None:
        """The people_id a conversation carries, without computing the rest of it."""
        over = self.overlays.get(i)
        if over is not None and "people_id" in over.patch:
            named = over.patch["people_id"]
            return named if isinstance(named, str) else None
        return person_named(self.book, case(self.book, i))

    def inbox_id_in(self, i: int) -> Any:
        """The inbox a conversation is in (None: the main one)."""
        over = self.overlays.get(i)
        if over is not None and "inbox_id" in over.patch:
            return over.patch["inbox_id"]
        return inbox_of(i)

    def overlay(self, i: int) -> Overlay:
        """The changeable part of a conversation, made when first needed."""
        over = self.overlays.get(i)
        if over is None:
            over = self.overlays[i] = Overlay(updated_at=updated_at(case(self.book, i)))
        return over

    @property
    def by_creation(self) -> TimeOrder:
        """Order of creation; built when first asked for, then kept."""
        if self._by_creation is None:
            self._by_creation = TimeOrder(
                pack(self.created_at(i), i) for i in self.by_update.numbers()
            )
        return self._by_creation

    def touch(self, i: int, at_ms: int) -> None:
        """Move a conversation to its new place in the lists."""
        over = self.overlay(i)
        before = pack(over.updated_at, i)
        over.updated_at = at_ms
        if self.by_update.discard(before):
            self.by_update.add(pack(at_ms, i))
        if self.by_update_filled.discard(before):
            self.by_update_filled.add(pack(at_ms, i))

    def refill(self, i: int) -> None:
        """Put a conversation on, or take it off, the list of those that have messages."""
        entry = pack(self.overlay(i).updated_at, i)
        self.by_update_filled.discard(entry)
        if self.message_count(i):
            self.by_update_filled.add(entry)

    def unlist(self, i: int) -> None:
        entry = pack(self.updated_at(i), i)
        self.by_update.discard(entry)
        self.by_update_filled.discard(entry)
        if self._by_creation is not None:
            self._by_creation.discard(pack(self.created_at(i), i))

    def enlist(self, i: int) -> None:
        entry = pack(self.updated_at(i), i)
        self.by_update.add(entry)
        if self._by_creation is not None:
            self._by_creation.add(pack(self.created_at(i), i))
        self.refill(i)

    def rows(self, i: int) -> list[Row]:
        """The live messages of a conversation, oldest first, not yet spelt out."""
        return self._rows(case(self.book, i), self.overlays.get(i))

    def _rows(self, of: Case, over: Overlay | None) -> list[Row]:
        if over is not None and over.rows is not None:
            return over.rows
        if over is not None and over.born:
            return []
        return list(zip(moments(of), range(of.messages), strict=True))

    def own_rows(self, i: int) -> list[Row]:
        """The rows as a list of the overlay's own, to be changed in place."""
        over = self.overlay(i)
        if over.rows is None:
            over.rows = self._rows(case(self.book, i), over)
        return over.rows

    def message_count(self, i: int) -> int:
        over = self.overlays.get(i)
        if over is not None and (over.rows is not None or over.born):
            return len(over.rows or ())
        return case(self.book, i).messages

    def spell_out(self, i: int, rows: list[Row]) -> list[Json]:
        """The message objects of some rows of one conversation."""
        of, over = case(self.book, i), self.overlays.get(i)
        cast = cast_of(self.book, of, self.website_id)
        return [_spelt(of, over, row, cast) for row in rows]

    def row_of(self, i: int, wanted: int) -> Row | None:
        """The live row with this fingerprint."""
        of = case(self.book, i)
        for row in self.rows(i):
            source = row[1]
            found = fingerprint(of, source) if isinstance(source, int) else source["fingerprint"]
            if found == wanted:
                return row
        return None


def _spelt(of: Case, over: Overlay | None, row: Row, cast: Cast) -> Json:
    at, source = row
    body = message(of, cast, source, at) if isinstance(source, int) else dict(source)
    if over is not None and body["fingerprint"] in over.edits:
        body["content"] = over.edits[body["fingerprint"]]
        body["edited"] = True
    return body


def _created_at(of: Case, over: Overlay | None, rows: list[Row], otherwise: int) -> int:
    """A second before the first message of the computed thread, even if that was removed."""
    if not of.messages:
        return otherwise
    first = rows[0][0] if over is None else moments(of)[0]
    return first - 1_000


def _show_last(body: Json, last: Json) -> None:
    content = last["content"]
    excerpt = content[:120] if isinstance(content, str) else ""
    body["last_message"] = excerpt
    body["preview_message"] = {
        "type": last["type"],
        "from": last["from"],
        "excerpt": excerpt,
        "fingerprint": last["fingerprint"],
    }


def before(rows: list[Row], at_ms: int) -> int:
    """How many rows are strictly older than a moment."""
    return bisect_left(rows, at_ms, key=lambda row: row[0])


def up_to(rows: list[Row], at_ms: int) -> int:
    """How many rows are as old as a moment or older."""
    return bisect_right(rows, at_ms, key=lambda row: row[0])
