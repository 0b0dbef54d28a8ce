"""Whose word an edit is: a person's, or a program's with a token (app/sources.py)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from app import clock
from app.accounts.actors import Actor
from app.sources import source


def author(actor: Actor) -> Literal["api", "manual"]:
    return "api" if actor.kind == "token" else "manual"


def told_by(actor: Actor, fields: Iterable[str]) -> dict[str, Any]:
    told = source(author(actor), clock.now(), actor.name)
    return dict.fromkeys(fields, told)
