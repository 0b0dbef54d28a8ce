"""Asking Crisp whether the credential is good and the plugin installed: one request each (SPEC C3, T1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from app.crisp.budget import QuotaPause
from app.crisp.client import CrispClient
from app.crisp.errors import AuthRejected, CrispError
from app.errors import CrispsyncError, Refused
from app.websites.connect import own_plugin_id, require_installed

Answered = Literal["rejected", "unreachable", "quota", "not_installed", "refused"]


class Trouble(NamedTuple):
    """`website_id` None where it is of the credential."""

    kind: Answered
    sentence: str
    website_id: str | None


async def ask_crisp(
    client: CrispClient, website_ids: Sequence[str], plugin_id: str | None
) -> list[Trouble]:
    """What Crisp says against them; empty when all is well."""
    try:
        own = await own_plugin_id(client)
    except CrispsyncError as error:
        return [Trouble(_kind(error), error.message, None)]
    if plugin_id and own and plugin_id != own:
        sentence = f"The credential is of plugin {own}, and {plugin_id} is set as the plugin's id."
        return [Trouble("rejected", sentence, None)]
    found = []
    for website_id in website_ids:
        try:
            await require_installed(client, website_id, plugin_id or own)
        except CrispsyncError as error:
            found.append(Trouble(_kind(error), error.message, website_id))
    return found


def _kind(error: CrispsyncError) -> Answered:
    match error:
        case QuotaPause():
            return "quota"
        case AuthRejected():
            return "rejected"
        case CrispError():
            return "unreachable"
        case Refused():
            return "not_installed"
        case _:
            return "refused"
