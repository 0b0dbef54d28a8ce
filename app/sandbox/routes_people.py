"""Routes of people (crisp/REFERENCE.md section 4.4).

Sorting knows ``created_at`` (the default, newest first) and ``nickname``; ``updated_at`` is not
documented and refused. Searching (``search_*``) is refused with 400.
"""

from app.sandbox.envelope import Answer, Refused, success
from app.sandbox.query import Params, bad, date_ms, only, page_number, per_page
from app.sandbox.site import Site
from app.sandbox.view import View

_LIST_PARAMS = frozenset(
    ("per_page", "sort_field", "sort_order", "filter_date_start", "filter_date_end")
)
_SORT_FIELDS = ("created_at", "nickname")
_SORT_ORDERS = ("ascending", "descending")
_SESSIONS_PER_PAGE = 20


def list_profiles(view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, _LIST_PARAMS)
    page, size = page_number(args[0]), per_page(params)
    field, order = params.get("sort_field", "created_at"), params.get("sort_order", "descending")
    if field not in _SORT_FIELDS:
        raise bad("sort_field")
    if order not in _SORT_ORDERS:
        raise bad("sort_order")
    start, end = date_ms(params, "filter_date_start"), date_ms(params, "filter_date_end")
    view.check_depth(page)
    low, high = site.people_order.span(start, view.visible_until(end))
    skip, newest = (page - 1) * size, order == "descending"
    if field == "nickname":
        everyone = site.people_order.page(low, high, 0, high - low, newest=False)
        everyone.sort(key=lambda p: (_nickname(site, p), p), reverse=newest)
        chosen = everyone[skip : skip + size]
    else:
        chosen = site.people_order.page(low, high, skip, size, newest=newest)
    chosen = view.shuffled_ties(chosen, lambda p: int(site.profile(p)["created_at"]))
    return view.listed([site.profile(p) for p in chosen], page, more=high - low > skip + size)


def _nickname(site: Site, p: int) -> str:
    name = (site.profile(p).get("person") or {}).get("nickname")
    return name if isinstance(name, str) else ""


def _require(site: Site, people: str) -> int:
    p = site.person_number(people)
    if p is None:
        raise Refused(404, "not_found")
    return p


def get_profile(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success(site.profile(_require(site, args[0])))


def get_data(_view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success({"data": site.custom_data(_require(site, args[0]))})


def list_sessions(view: View, site: Site, args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    p, page = _require(site, args[0]), page_number(args[1])
    sessions = site.sessions_of(site.people_id(p))
    chosen = sessions[(page - 1) * _SESSIONS_PER_PAGE : page * _SESSIONS_PER_PAGE]
    return view.listed(chosen, page, more=len(sessions) > page * _SESSIONS_PER_PAGE)


def get_stats(_view: View, site: Site, _args: list[str], params: Params) -> Answer:
    only(params, frozenset())
    return success({"total": len(site.people_order)})
