"""Reading the messages of one conversation: all of them, or those since the last reading."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from app.clock import iso_ms
from app.conversations.threads import MessageRemoval
from app.crisp import translate
from app.crisp.client import Answer, CrispClient, refuse_path_part
from app.crisp.thread_paging import ThreadBatch, walk_thread
from app.db.base import StoredRow
from app.errors import CrispsyncError
from app.records import MessageRecord, Rejected, ThreadProgress
from app.sync.pull import Stopped, split_rejected

BATCHES_A_PART = 10


@dataclass(slots=True)
class Part:
    """Messages of one conversation, all of them or, of a very long one, the next part.

    It begins with the newest, or goes on from `before_ms`, epoch ms. `answers` is how many were paid for it.
    """

    session_id: str
    before_ms: int | None = None
    messages: list[MessageRecord] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    progress: ThreadProgress | None = None
    gone_ms: int | None = None
    reached_start: bool = False
    removed: list[MessageRemoval] = field(default_factory=list)
    answers: int = 0

    @property
    def ends_thread(self) -> bool:
        return self.progress is None or self.progress.back_to_ms is None


class Asks(Protocol):
    """Who asks Crisp about one website."""

    @property
    def client(self) -> CrispClient: ...

    async def get(
        self, path: str, params: Mapping[str, str | int] | None = None
    ) -> Answer: ...  # raises what `CrispClient.get` raises


HandOver = Callable[[], Awaitable[bool]]
"""Whether what was read so far is to be given away before more is asked for."""


async def never() -> bool:
    return False


async def read_thread(
    pull: Asks, row: StoredRow, must_hand_over: HandOver = never
) -> AsyncIterator[Part]:
    """Parts of a conversation's messages, newest first: all of them, or those since the last reading.

    What was read, not what is stored, tells where to stop: hooks bring single messages, and one
    that was lost between them lies further back.
    """
    known_ms = None
    if row.messages_complete or row.messages_back_to_ms is not None:
        known_ms = row.messages_read_to_ms
    read_to_ms = row.messages_read_to_ms
    async for part in _read_back(pull, row, None, known_ms, must_hand_over):
        if part.progress is not None:
            read_to_ms = part.progress.read_to_ms
        yield part
    if not row.messages_complete and row.messages_back_to_ms is not None:
        # An earlier run stopped on the way back: go on from there.
        async for part in _read_back(pull, row, row.messages_back_to_ms, None, must_hand_over):
            if part.progress is not None:
                part.progress = replace(part.progress, read_to_ms=read_to_ms)
            yield part


async def _read_back(
    pull: Asks,
    row: StoredRow,
    before_ms: int | None,
    known_ms: int | None,
    must_hand_over: HandOver,
) -> AsyncIterator[Part]:
    """Walk back from `before_ms` to the thread's start, or to what is known already."""
    path = f"conversation/{refuse_path_part(row.session_id)}/messages"
    answers: list[Answer] = []

    async def fetch(cursor: dict[str, int]) -> Answer:
        answers.append(await pull.get(path, cursor or None))
        return answers[-1]

    part = Part(row.session_id, before_ms)
    batches = newest_ms = began_ms = 0
    newest_known = known_ms is not None and not row.messages_complete
    has_some = row.last_fingerprint is not None and before_ms is None
    walk = walk_thread(fetch, before_ms, has_some=has_some)
    while True:
        try:
            batch = await anext(walk)
        except (CrispsyncError, Stopped):
            if part.progress is not None:  # paid for, also when the way ends here
                yield part
            raise
        asked_ms = min(answer.asked_ms for answer in answers)
        began_ms = min(began_ms or asked_ms, asked_ms)
        found = _add_batch(part, batch, asked_ms)
        cached = any(answer.cached for answer in answers)
        answers.clear()
        batches += 1
        newest_ms = max(newest_ms, _newest(found))
        reached = known_ms is not None and 0 < _oldest(found) < known_ms
        if batch.back_to_ms is None or reached:
            back = row.messages_back_to_ms if reached and newest_known else None
            part.progress = _progress(row, back, newest_ms, began_ms)
            part.reached_start = batch.back_to_ms is None
            if cached and before_ms is None and _lacks_newest(row, part.messages):
                part.progress = None
                part.rejected.append(
                    Rejected("conversation", row.session_id, "Crisp's cache is behind its list")
                )
            yield part
            return
        if known_ms is None:
            part.progress = _progress(row, batch.back_to_ms, newest_ms, began_ms)
            if batches % BATCHES_A_PART == 0 or await must_hand_over():
                yield part
                part = Part(row.session_id, batch.back_to_ms)


def _add_batch(part: Part, batch: ThreadBatch, asked_ms: int) -> list[MessageRecord]:
    found, rejected = split_rejected(
        [translate.message(item, part.session_id, asked_ms) for item in batch.items]
    )
    part.messages += found
    part.rejected += rejected
    if batch.gap_ms is not None:
        part.rejected.append(Rejected("conversation", part.session_id, _gap(batch.gap_ms)))
    return found


def _gap(moment_ms: int) -> str:
    return (
        f"More messages share the moment {iso_ms(moment_ms)} than Crisp shows at once; "
        "some of them may be missing"
    )


def _oldest(messages: Sequence[MessageRecord]) -> int:
    return min((m.version.crisp_ms for m in messages if m.version.crisp_ms), default=0)


def _lacks_newest(row: StoredRow, messages: Sequence[MessageRecord]) -> bool:
    return row.last_fingerprint is not None and all(
        m.fingerprint != row.last_fingerprint for m in messages
    )


def _newest(messages: Sequence[MessageRecord]) -> int:
    return max((m.version.crisp_ms for m in messages), default=0)


def _progress(
    row: StoredRow, back_to_ms: int | None, newest_ms: int, began_ms: int
) -> ThreadProgress:
    read_to_ms = max(newest_ms, row.messages_read_to_ms or 0)
    return ThreadProgress(
        row.session_id, row.version_ms, row.last_fingerprint, back_to_ms, read_to_ms, began_ms
    )
