"""From a path to its route: a tree of path segments, walked once per request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from app.sandbox import routes_conversations as conversations
from app.sandbox import routes_people as people
from app.sandbox import routes_plugin as plugin
from app.sandbox.envelope import Answer

Handler = Callable[..., Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """A route template. ``website`` tells whether its first argument names a website."""

    template: str
    handler: Handler
    website: bool
    head: bool = False
    get: bool = True


_W = "/website/{website_id}"
_C = f"{_W}/conversation/{{session_id}}"
_S = "/plugins/subscription/{website_id}"

ROUTES = (
    Route(_W, plugin.get_website, website=True),
    Route(f"{_W}/conversations/{{page}}", conversations.list_conversations, website=True),
    Route(_C, conversations.get_conversation, website=True, head=True),
    Route(f"{_C}/meta", conversations.get_meta, website=True),
    Route(f"{_C}/state", conversations.get_state, website=True),
    Route(f"{_C}/messages", conversations.list_messages, website=True),
    Route(f"{_C}/message/{{fingerprint}}", conversations.get_message, website=True),
    Route(f"{_W}/people/profiles/{{page}}", people.list_profiles, website=True),
    Route(f"{_W}/people/profile/{{people_id}}", people.get_profile, website=True, head=True),
    Route(f"{_W}/people/data/{{people_id}}", people.get_data, website=True),
    Route(f"{_W}/people/conversations/{{people_id}}/list/{{page}}", people.list_sessions, True),
    Route(f"{_W}/people/stats", people.get_stats, website=True),
    Route(f"{_W}/operators/list", plugin.list_operators, website=True),
    Route("/plugin/connect/account", plugin.get_account, website=False),
    Route("/plugin/connect/session", plugin.check_session, False, head=True, get=False),
    Route("/plugin/connect/websites/all/{page}", plugin.list_websites, website=False),
    Route("/plugin/connect/websites/since", plugin.websites_since, website=False),
    Route("/plugins/subscription", plugin.user_tier_only, website=False),
    Route(_S, plugin.user_tier_only, website=False),
    Route(f"{_S}/{{plugin_id}}", plugin.get_subscription, website=True),
    Route(f"{_S}/{{plugin_id}}/settings", plugin.get_settings, website=True),
)

_Tree = dict[str, Any]


def _plant(routes: tuple[Route, ...]) -> _Tree:
    tree: _Tree = {}
    for route in routes:
        node = tree
        for segment in route.template.split("/")[1:]:
            node = node.setdefault("{}" if segment.startswith("{") else segment, {})
        node["/"] = route
    return tree


_TREE = _plant(ROUTES)


def find_route(path: str) -> tuple[Route, list[str]] | None:
    """The route of a still percent-encoded path (after ``/v1``) and its decoded arguments."""
    node, args = _TREE, []
    for segment in path.split("/")[1:]:
        step = node.get(segment)
        if step is None:
            step = node.get("{}")
            if step is None or not segment:
                return None
            args.append(unquote(segment) if "%" in segment else segment)
        node = step
    route = node.get("/")
    return None if route is None else (route, args)
