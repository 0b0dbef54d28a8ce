"""Who asks for a page, and which role a route needs.

router = APIRouter(dependencies=[Depends(require_own_request), Depends(member)])

async def rename(actor: CurrentActor, …) -> Response: ...
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from app.accounts.actors import Actor, Role

_THIS_MACHINE = Actor("user", "local", "somebody on this machine", Role.ADMIN)


def actor_of(request: Request) -> Actor:
    """Who asks. There is no login yet: whoever reaches the loopback address may do everything."""
    actor: Actor = getattr(request.state, "actor", _THIS_MACHINE)
    return actor


CurrentActor = Annotated[Actor, Depends(actor_of)]


def viewer(actor: CurrentActor) -> None:
    actor.require(Role.VIEWER)


def member(actor: CurrentActor) -> None:
    actor.require(Role.MEMBER)


def admin(actor: CurrentActor) -> None:
    actor.require(Role.ADMIN)
