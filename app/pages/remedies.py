"""`/unmatched/remedy`: a remedy is chosen, looked at, done; `/unmatched/remedies`: what was done, and undo."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from app.edits.effects import look
from app.edits.merges import require_row
from app.edits.remedies import remedy
from app.edits.remedies_undo import Changed, take_remedy_back
from app.edits.wishes import Effect, Wish
from app.errors import CrispsyncError, NotFound, Refused
from app.pages import queries_remedies as queries
from app.pages import queries_unmatched, remedy_words
from app.pages.access import CurrentActor, member, viewer
from app.pages.frame import Frame, Visit, database_of, visit
from app.pages.ids import known_id
from app.pages.queries_merges import candidates
from app.pages.security import require_own_request
from app.pages.text import clean
from app.pages.wording import contact_name

router = APIRouter(dependencies=[Depends(viewer)])
changes = APIRouter(dependencies=[Depends(member)])
OWN = [Depends(require_own_request)]

FEW = 20
Text = Annotated[str, Field(max_length=400)]


class Chosen(BaseModel):
    """What the forms of these pages send; `digest`: of the effect that was shown; `q`: who is looked for."""

    kind: Text = ""
    reason: Text = ""
    domain: Text = ""
    ids: list[str] = []
    contact_id: Text = ""
    company_id: Text = ""
    company_name: Text = ""
    digest: Text = ""
    q: Annotated[str, Field(max_length=200)] | None = None

    def wish(self) -> Wish:
        """Raises Refused, NotFound for what no form of these pages sends."""
        if self.kind not in remedy_words.REMEDIES:
            raise Refused("Choose what is to be done.")
        chosen = tuple(dict.fromkeys(self.ids))
        named = [one for one in (*chosen, self.contact_id, self.company_id) if one]
        if not all(known_id(one) for one in named):
            raise NotFound("There is no such conversation, contact or company in this website.")
        kind: Any = self.kind
        return Wish(
            kind,
            reason=self.reason or None,
            domain=clean(self.domain) or None,
            ids=chosen,
            contact_id=self.contact_id or None,
            company_id=self.company_id or None,
            company_name=clean(self.company_name) or None,
        )


@changes.get("/unmatched/remedy")
async def choose(request: Request, chosen: Annotated[Chosen, Query()]) -> Response:
    """Without the contact or company that it needs one can be looked for; else what it would do."""
    async with visit(request) as page:
        wish = chosen.wish()
        needs = _needs(wish)
        if needs:
            return await _target_form(page, wish, needs, chosen.q)
        try:
            return await _preview(page, wish)
        except Refused as error:
            if wish.kind not in _TARGETS:
                raise
            return await _target_form(page, wish, _TARGETS[wish.kind], chosen.q, error)


_TARGETS = {"link": "contact", "tie": "company"}


def _needs(wish: Wish) -> str:
    chosen = wish.contact_id or wish.company_id or wish.company_name
    return "" if chosen else _TARGETS.get(wish.kind, "")


async def _target_form(
    page: Visit, wish: Wish, needs: str, q: str | None, trouble: Refused | None = None
) -> Response:
    label = remedy_words.name_of_domain(wish.domain)
    rows = await queries_unmatched.read_few(page.connection, page.website_id, wish.ids[:1])
    if wish.ids and not wish.domain and rows and rows[0].email:
        label = remedy_words.name_of_domain(rows[0].email.rpartition("@")[2])
    asked = label if q is None else q
    kind: Any = needs
    found = await candidates(page.connection, page.website_id, kind, asked, None)
    return page.show(
        "remedy_target.html",
        trouble.http_status if trouble else 200,
        trouble=trouble.message if trouble else "",
        wish=wish,
        needs=needs,
        found=found,
        q=asked,
        suggested=wish.company_name or label,
        words=remedy_words,
        **_around(wish),
    )


async def _preview(page: Visit, wish: Wish, trouble: CrispsyncError | None = None) -> Response:
    effect = await look(page.connection, page.website_id, wish)
    target = await _target(page, wish)
    rows = await queries_unmatched.read_few(page.connection, page.website_id, effect.ids[:FEW])
    return page.show(
        "remedy.html",
        trouble.http_status if trouble else 200,
        wish=wish,
        effect=effect,
        nothing=_nothing(effect),
        sentences=remedy_words.before(effect, target),
        target=target,
        rows=rows,
        few=FEW,
        trouble=trouble.message if trouble else "",
        words=remedy_words,
        **_around(wish),
    )


def _nothing(effect: Effect) -> bool:
    return not effect.ids and not effect.domains


async def _target(page: Visit, wish: Wish) -> str:
    if wish.contact_id is not None:
        row = await require_row(page.connection, page.website_id, "contact", wish.contact_id)
        return contact_name(row.name, row.email, row.phone)
    if wish.company_id is not None:
        row = await require_row(page.connection, page.website_id, "company", wish.company_id)
        return str(row.name)
    return wish.company_name or ""


def _around(wish: Wish) -> dict[str, Any]:
    """Where one came from, and what the next form carries on."""
    params: dict[str, Any] = {"reason": wish.reason or "", "domain": wish.domain or ""}
    title = remedy_words.group_title(wish.reason, wish.domain)
    if wish.reason:
        back = ("/unmatched/group", params)
    elif len(wish.ids) == 1:
        back, title = (f"/conversations/{wish.ids[0]}", {}), "The conversation"
    else:
        back = ("/unmatched", {})
    return {
        "back": back,
        "title": title,
    }


@changes.post("/unmatched/remedy", dependencies=OWN)
async def do(request: Request, actor: CurrentActor, chosen: Annotated[Chosen, Form()]) -> Response:
    async with visit(request) as page:
        wish = chosen.wish()
        frame, website_id = page.frame, page.website_id

    async def work(connection: AsyncConnection) -> str:
        return await remedy(connection, website_id, wish, chosen.digest, actor)

    try:
        remedy_id = await database_of(request).transact(work)
    except Refused as error:
        async with visit(request) as page:
            return await _preview(page, wish, error)
    return RedirectResponse(_after(frame, wish, remedy_id), 303)


def _after(frame: Frame, wish: Wish, remedy_id: str) -> str:
    """Back to the rest of the group where some were chosen, else to the groups."""
    if wish.ids and wish.reason:
        group = {"reason": wish.reason, "domain": wish.domain or ""}
        return frame.url("/unmatched/group", **group, done=remedy_id)
    if wish.ids:
        return frame.url(f"/unmatched/remedies/{remedy_id}")
    return frame.url("/unmatched", done=remedy_id)


@router.get("/unmatched/remedies")
async def history(request: Request) -> Response:
    async with visit(request) as page:
        rows = await queries.latest_remedies(page.connection, page.website_id, queries.HISTORY)
    return page.show("remedies.html", rows=rows, words=remedy_words, most=queries.HISTORY)


@router.get("/unmatched/remedies/{remedy_id}")
async def one(request: Request, remedy_id: str) -> Response:
    async with visit(request) as page:
        return await _show(page, remedy_id)


@changes.post("/unmatched/remedies/{remedy_id}/undo", dependencies=OWN)
async def undo(
    request: Request, actor: CurrentActor, remedy_id: str, rest: Annotated[str, Form()] = ""
) -> Response:
    """`rest`: whatever nobody changed since, where something was."""
    async with visit(request) as page:
        frame, website_id = page.frame, page.website_id
        await _require(page, remedy_id)

    async def work(connection: AsyncConnection) -> None:
        await take_remedy_back(connection, website_id, remedy_id, actor, rest=rest == "yes")

    try:
        await database_of(request).transact(work)
    except Changed as error:
        async with visit(request) as page:
            return await _show(page, remedy_id, error)
    return RedirectResponse(frame.url(f"/unmatched/remedies/{remedy_id}"), 303)


async def _require(page: Visit, remedy_id: str) -> Any:
    row = None
    if known_id(remedy_id):
        row = await queries.get_remedy(page.connection, page.website_id, remedy_id)
    if row is None:
        raise NotFound("There is no such remedy in this website.")
    return row


async def _show(page: Visit, remedy_id: str, trouble: Changed | None = None) -> Response:
    row = await _require(page, remedy_id)
    what = {"create": ["contact"], "link": ["decisions"], "leave": ["left"]}
    keys = await queries.keys_of(
        page.connection, page.website_id, row.id, what.get(row.kind, ["tie"])
    )
    people: Any = ()
    talks: Any = ()
    if row.kind == "create":
        people = await queries.read_contacts(page.connection, page.website_id, keys)
    elif row.kind in {"link", "leave"}:
        talks = await queries_unmatched.read_few(page.connection, page.website_id, keys)
    return page.show(
        "remedy_done.html",
        trouble.http_status if trouble else 200,
        row=row,
        people=people,
        talks=talks,
        domains=keys if row.kind in {"tie", "ignore"} else (),
        shown=queries.SHOWN,
        trouble=trouble.message if trouble else "",
        words=remedy_words,
    )
