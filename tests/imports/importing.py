r"""For tests of whole imports: a connected website, a folder for uploads, and files told in few words.

async with importing(database_url, tmp_path) as site:
    done = await site.run("email,name\nada@acme.example,Ada\n")
    assert done.counts["created"] == 1
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from app.accounts.actors import Actor, Role
from app.companies.tables import companies, company_aliases, contact_companies
from app.contacts.tables import contact_emails, contacts
from app.conversations.tables import conversation_companies, conversations
from app.imports.asked import require_import
from app.imports.begin import begin_import
from app.imports.setup import by_name, columns_of_import
from app.imports.steps import Choice, ask_commit, ask_plan, ask_undo
from app.imports.tables import import_rows
from app.imports.uploads import store_blocks
from app.imports.worker import ImportWorker
from tests.ingesting import WEBSITE, Site, connected

MEMBER = Actor("user", "u1", "mira@support.example", Role.MEMBER)
OUTCOMES = ("create", "update", "unchanged", "skip", "error")


@dataclass(slots=True)
class Importing(Site):
    folder: Path = Path()

    @property
    def worker(self) -> ImportWorker:
        return ImportWorker(self.db, self.folder, lease_seconds=10)

    async def begin(
        self, content: str | bytes, name: str = "people.csv", kind: str = "contacts"
    ) -> str:
        raw = content.encode() if isinstance(content, str) else content

        async def blocks() -> AsyncIterator[bytes]:
            yield raw

        stored = await store_blocks(self.folder, name, blocks(), 100)
        return await begin_import(self.db, self.folder, self.id, stored, MEMBER, kind)

    async def plan(
        self,
        content: str | bytes,
        mode: str = "merge",
        columns: Mapping[str, Any] | None = None,
        kind: str = "contacts",
        **options: Any,
    ) -> Any:
        """The import's row once it is planned; `data.seats` is a whole number, whatever it holds."""
        import_id = await self.begin(content, kind=kind)
        row = await self.row(import_id)
        told = [
            replace(column, type="integer") if column.to == "data.seats" else column
            for column in columns_of_import(row)
        ]
        if columns is not None:
            told = by_name([column.column for column in told], columns, kind)
        choice = Choice(told, mode, {**row.options, **options})
        await ask_plan(self.db, self.id, import_id, choice, MEMBER)
        await self.work()
        return await self.row(import_id)

    async def commit(self, planned: Any) -> Any:
        await ask_commit(self.db, self.id, planned.id, planned.plan_hash, MEMBER)
        await self.work()
        return await self.row(planned.id)

    async def run(self, content: str | bytes, mode: str = "merge", **told: Any) -> Any:
        return await self.commit(await self.plan(content, mode, **told))

    async def undo(self, import_id: str) -> Any:
        await ask_undo(self.db, self.id, import_id, MEMBER)
        await self.work()
        return await self.row(import_id)

    async def work(self) -> None:
        while await self.worker.work_once():
            pass

    async def row(self, import_id: str) -> Any:
        async with self.db.read() as connection:
            return await require_import(connection, self.id, import_id)

    async def lines(self, import_id: str) -> dict[int, Any]:
        query = select(import_rows).where(import_rows.c.import_id == import_id)
        return {row.line: row for row in await self.rows(query.order_by(import_rows.c.line))}

    async def person(self, address: str) -> Any:
        query = select(contacts).join(contact_emails, contact_emails.c.contact_id == contacts.c.id)
        return (await self.rows(query.where(contact_emails.c.email_norm == address)))[0]

    async def everything(self) -> dict[str, Any]:
        """What the mission's tables hold, without the times of writing."""
        # `search` follows from the others, and rows that tests write by hand have none.
        unseen = {"updated_at", "matched_at", "search"}
        told: dict[str, Any] = {}
        for table in (
            contacts, contact_emails, companies, company_aliases, contact_companies, conversations,
            conversation_companies,
        ):  # fmt: skip
            rows = await self.rows(select(table))
            shown = [{k: v for k, v in row._mapping.items() if k not in unseen} for row in rows]
            told[table.name] = sorted(shown, key=repr)
        return told


@asynccontextmanager
async def importing(database_url: str, folder: Path, **settings: Any) -> AsyncIterator[Importing]:
    async with connected(database_url, **settings) as site:
        yield Importing(site.db, WEBSITE, folder / "uploads")


def adds_up(counts: Mapping[str, int]) -> bool:
    """SPEC I8: the totals are those of the file."""
    return counts["rows"] == sum(counts.get(outcome, 0) for outcome in OUTCOMES)


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Which columns of which table differ, for the eye."""
    found = []
    for table, rows in before.items():
        if len(rows) != len(after[table]):
            found.append(f"{table}: {len(rows)} rows, then {len(after[table])}")
        for one, other in zip(rows, after[table], strict=False):
            changed = {k: (v, other[k]) for k, v in one.items() if other[k] != v}
            found += [f"{table}.{name}: {values}" for name, values in changed.items()]
    return found
