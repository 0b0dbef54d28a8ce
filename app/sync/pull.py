"""What the parts of a run share: the claim, the client, and saving a page together with its checkpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from app.contacts.erased import was_anybody_erased
from app.crisp.client import Answer, CrispClient
from app.crisp.paging import Page, page_of
from app.db.base import StoredRow
from app.db.in_turn import planning_once
from app.db.session import Database
from app.db.sqlstate import is_bad_value
from app.db.upsert import locks_of
from app.ingest import BAD_VALUES, Outcome, ingest, ingest_singly
from app.known import find_known
from app.matching.keep_out import keep_out
from app.records import Batch, Rejected, joined
from app.sync.drift import Auditor
from app.sync.failures import count_failures, write_failures
from app.sync.leases import Claim, check_fence, fencing
from app.sync.runs import Asked
from app.sync.untold import count_untold
from app.websites.rules import WebsiteRules, lock_of

T = TypeVar("T")
Step = Callable[[AsyncConnection], Awaitable[None]]

LAG_MS = 2 * 60_000
"""A row may become visible this long after its own timestamp (FAILURES case 46)."""
CLOCK_DOUBT_MS = 2_000
"""What is known of Crisp's clock gets better with each answer; by less than this."""
LOOK_BACK_MS = 15 * 60_000
"""The next run begins this long before the end of the last one (cases 44 to 46)."""


class Stopped(Exception):  # a person asked for it, it is no error
    """A person asked to pause or cancel; what was saved stays."""

    def __init__(self, asked: Asked) -> None:
        super().__init__(asked)
        self.asked = asked


@dataclass(frozen=True, slots=True)
class Save:
    """What a part of a run has to be written: `checkpoint` replaces its keys, `counts` are added.

    `when_asked` is called as by `ingest`, perhaps in each of several tries; `also` is done at the end.
    """

    batch: Batch
    also: Sequence[Step] = ()
    when_asked: Callable[[], None] | None = None
    rejected: Sequence[Rejected] = ()
    checkpoint: Mapping[str, Any] = field(default_factory=dict)
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class _Waiting:
    build: Callable[[], Save]
    outcome: Outcome | None = None
    error: Exception | None = None

    @property
    def ended(self) -> bool:
        return self.outcome is not None or self.error is not None

    def told(self) -> Outcome:
        if self.outcome is None:
            raise self.error or AssertionError("its turn has not been")
        return self.outcome


@dataclass(slots=True)
class Pull:
    """One run at work. `website` is the stored row at its start."""

    db: Database
    client: CrispClient
    claim: Claim
    rules: WebsiteRules
    website: StoredRow
    auditor: Auditor | None = None
    """Of an audit: it sees each batch before it is written, and after."""
    kept_out: set[str] = field(default_factory=set)
    """People ids that this process met and that are of erased people (SPEC P6)."""
    stopped_by: list[Exception] = field(default_factory=list)
    """Why parts of this run ended; then no part asks Crisp any more, and each writes what it has."""
    _counted: int = field(init=False)
    _saving: asyncio.Lock = field(default_factory=asyncio.Lock)
    _waiting: list[_Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._counted = self.client.budget.spent[self.website_id]

    def begin_ms(self) -> int:
        """A time of Crisp's clock that is surely before anything this run will see."""
        return self.client.clock.now_ms() - CLOCK_DOUBT_MS

    @property
    def website_id(self) -> str:
        return self.rules.id

    @property
    def suspects(self) -> list[str]:
        """What looked unhealthy in this run, as sentences; nothing is believed gone then (SPEC S9)."""
        return list(self.claim.checkpoint.get("suspects", ()))

    def suspect(self, sentence: str) -> None:
        if sentence not in self.suspects:
            held = self.claim
            held.checkpoint = {**held.checkpoint, "suspects": [*self.suspects, sentence]}

    async def count_failed(self) -> int:
        """Records of this run that could not be kept, before a restart too."""
        async with self.db.read() as connection:
            return await count_failures(connection, self.claim)

    async def get(self, path: str, params: Mapping[str, str | int] | None = None) -> Answer:
        """Ask about this website: `path` goes on behind /website/{id}/.

        Raises what another part of the run was stopped by, too.
        """
        if self.stopped_by:
            raise self.stopped_by[0]
        return await self.client.get(
            f"website/{self.website_id}/{path}", params, website_id=self.website_id
        )

    async def get_page(self, path: str, number: int, params: Mapping[str, str | int]) -> Page:
        return page_of(number, await self.get(f"{path}/{number}", params))

    async def save(
        self,
        batch: Batch,
        *also: Step,
        rejected: Sequence[Rejected] = (),
        checkpoint: Mapping[str, Any] | None = None,
        counts: Mapping[str, int] | None = None,
    ) -> Outcome:
        """One transaction: fence, rows, failed records, checkpoint; then nothing of it or all of it.

        Raises LeaseLost, Stopped, and what `Database.transact` raises.
        """
        asked = Save(
            batch, also, rejected=rejected, checkpoint=checkpoint or {}, counts=counts or {}
        )
        return await self.save_when_possible(lambda: asked)

    async def save_when_possible(self, build: Callable[[], Save]) -> Outcome:
        """As `save`, of what `build` returns when it is its turn.

        The parts of a run that wait for their turn are written in one transaction: opening one costs
        as much as the rows of a page. The outcome tells of all of them.
        """
        mine = _Waiting(build)
        self._waiting.append(mine)
        try:
            async with self._saving:
                if not mine.ended:
                    await self._save_all_waiting()
        finally:
            if mine in self._waiting:
                self._waiting.remove(mine)
        outcome = mine.told()
        self.check_asked()
        return outcome

    async def _save_all_waiting(self) -> None:
        together, self._waiting = self._waiting, []
        saves = [one.build() for one in together]
        try:
            outcome = await self._save_together(saves)
        except Exception as error:  # each of them is told
            for one in together:
                one.error = error
        except BaseException:
            # Only who writes was cancelled; whether it was written is not known, and again does no harm.
            for one, save in zip(together, saves, strict=True):
                one.build = partial(_as_it_is, save)
            self._waiting = together + self._waiting
            raise
        else:
            for one in together:
                one.outcome = outcome

    async def _save_together(self, saves: Sequence[Save]) -> Outcome:
        batch = joined(self.website_id, [save.batch for save in saves])
        held = self.claim
        before = held.checkpoint, held.counts
        for save in saves:
            held.checkpoint = {**held.checkpoint, **save.checkpoint}
            held.counts = _sum(held.counts, save.counts)
        if batch.contacts or batch.conversations or batch.messages:
            held.checkpoint["outages"] = 0
        requests = self.client.budget.spent[self.website_id] - self._counted
        try:
            outcome = await self._write_or_sort_out(batch, saves, requests)
        except BaseException:
            held.checkpoint, held.counts = before
            raise
        self._counted += requests
        return outcome

    async def _write_or_sort_out(
        self, batch: Batch, saves: Sequence[Save], requests: int
    ) -> Outcome:
        def when_asked() -> None:
            for save in saves:
                if save.when_asked is not None:
                    save.when_asked()

        async def write(connection: AsyncConnection, *, singly: bool) -> Outcome:
            (*_, fenced, ((anybody,),)), known = await find_known(
                connection,
                batch,
                *planning_once(connection),
                *locks_of(connection, lock_of(self.website_id)),
                fencing(connection, self.claim, requests=requests),
                was_anybody_erased(self.website_id),
            )
            check_fence(self.claim, fenced)
            kept, out = await keep_out(connection, batch, bool(anybody))
            self.kept_out |= out.people
            since = self.rules.activated_at
            if self.claim.kind == "incremental" and since is not None:
                await count_untold(connection, since, LAG_MS, kept)
            found = await self.auditor.compare(connection, kept) if self.auditor else {}
            # One by one, a record may change what is known of the next.
            writer = (
                ingest_singly if singly else partial(ingest, known=known, when_asked=when_asked)
            )
            outcome = await writer(connection, self.rules, kept, sifted=True)
            when_asked()
            if self.auditor is not None:
                await self.auditor.keep(connection, found, kept)
            for step in [step for save in saves for step in save.also]:
                await step(connection)
            rejected = [record for save in saves for record in save.rejected]
            await write_failures(connection, self.claim, [*rejected, *outcome.rejected])
            return outcome

        try:
            return await self.db.transact(partial(write, singly=False))
        except BAD_VALUES as error:
            if not is_bad_value(error):
                raise
        return await self.db.transact(partial(write, singly=True))

    def check_asked(self) -> None:
        if self.claim.asked is not None:
            raise Stopped(self.claim.asked)


def _as_it_is(save: Save) -> Save:
    return save


def _sum(counts: Mapping[str, int], more: Mapping[str, int]) -> dict[str, int]:
    return {name: counts.get(name, 0) + more.get(name, 0) for name in {**counts, **more}}


def split_rejected(found: Sequence[T | Rejected]) -> tuple[list[T], list[Rejected]]:
    good = [item for item in found if not isinstance(item, Rejected)]
    return good, [item for item in found if isinstance(item, Rejected)]
