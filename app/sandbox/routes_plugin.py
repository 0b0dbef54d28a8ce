"""Routes of the website, its operators and the plugin itself (REFERENCE sections 2 and 4.5)."""

from typing import Any

from app.sandbox.clock import iso
from app.sandbox.envelope import Answer, Refused, listed, success
from app.sandbox.query import Params, date_ms, flag, only, page_number
from app.sandbox.site import Site
from app.sandbox.view import View

Json = dict[str, Any]

URN = "urn:crispsync.example:sync:0"
_WEBSITES_PER_PAGE = 20
_CONNECT_PARAMS = frozenset(("filter_configured", "include_plan"))


def get_website(_view: View, site: Site, _args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    domain = f"{site.name.lower().replace(' ', '-')}.example"
    body = {"website_id": site.website_id, "name": site.name, "domain": domain, "logo": ""}
    return success(body)


def list_operators(_view: View, site: Site, _args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return listed(site.operators(), more=False)


def get_account(view: View, _site: Site | None, _args: list[str], _params: Params) -> Answer:
    return success({"plugin_id": view.world.plugin_id})


def check_session(_view: View, _site: Site | None, _args: list[str], _params: Params) -> Answer:
    return success({})


def _connected(site: Site, *, plan: bool) -> Json:
    body: Json = {"website_id": site.website_id, "price": 0, "token": site.token, "settings": {}}
    if plan:
        body["plan"] = {"id": "plus", "name": "Plus", "trialing": False}
    return body


def list_websites(view: View, _site: Site | None, args: list[str], params: Params) -> Answer:
    """Installed websites. None is configured here, so ``filter_configured=1`` finds nothing."""
    only(params, _CONNECT_PARAMS)
    page, plan = page_number(args[0]), flag(params, "include_plan")
    sites = [s for s in view.world.sites.values() if s.installed]
    if flag(params, "filter_configured"):
        sites = []
    chosen = sites[(page - 1) * _WEBSITES_PER_PAGE : page * _WEBSITES_PER_PAGE]
    more = len(sites) > page * _WEBSITES_PER_PAGE
    return view.listed([_connected(s, plan=plan) for s in chosen], page, more=more)


def websites_since(view: View, _site: Site | None, _args: list[str], params: Params) -> Answer:
    """Websites linked or unlinked since a date, with the last ``difference`` of each."""
    only(params, _CONNECT_PARAMS | {"date_since"})
    since = date_ms(params, "date_since")
    plan, configured = flag(params, "include_plan"), flag(params, "filter_configured")
    if since is None:
        raise Refused(400, "invalid_data", "date_since is missing")
    found = []
    for site in view.world.sites.values():
        changes = [what for at, what in site.install_changes if at >= since]
        if changes and not configured:
            found.append({**_connected(site, plan=plan), "difference": changes[-1]})
    return listed(found, more=False)


def get_subscription(view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    _own_plugin(view, args[0])
    linked = [at for at, what in site.install_changes if what == "linked"]
    body: Json = {
        "id": view.world.plugin_id, "urn": URN, "type": "community", "category": "utility",
        "name": "crispsync", "summary": "", "price": 0, "plans": [], "icon": "",
        "configurable": True, "since": iso(linked[-1] if linked else 0), "active": site.installed,
        "website_id": site.website_id, "card_id": None,
    }  # fmt: skip
    return success(body)


def get_settings(view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    _own_plugin(view, args[0])
    schema_id = f"crisp:service:api/_schema/plugin#{URN}"
    body = {
        "plugin_id": view.world.plugin_id,
        "website_id": site.website_id,
        "token": site.token,
        "schema": {"$id": schema_id, "type": "object", "properties": {}},
        "settings": {},
        "settings_form_url": "https://plugin.example.com/settings",
        "callback_url": "https://plugin.example.com/callback",
    }
    return success(body)


def _own_plugin(view: View, plugin_id: str) -> None:
    if plugin_id != view.world.plugin_id:
        raise Refused(403, "not_allowed")


def user_tier_only(_view: View, _site: Site | None, _args: list[str], _params: Params) -> Answer:
    """Routes a plugin token may not use at all (REFERENCE section 2.5)."""
    raise Refused(403, "restricted_route_tier")
