"""`make screenshots` forgets no page."""

from __future__ import annotations

from scripts.screenshots import BEFORE_LOGIN, PAGES, named
from tests.pages.every_page import NO_PAGE
from tests.pages.test_every_route import an_app, ways

# Pages that a demo has nothing for, each with its reason.
NOT_TAKEN = {
    "/plugin/callback": "Crisp sends people there",
    "/plugin/settings": "opens in Crisp's frame only",
    "/plugin/website": "opens in Crisp's frame only",
    "/welcome": "opens with an invitation's link only",
    "/unmatched/remedies/{remedy_id}": "nobody did anything in a new demo",
}


def test_every_page_is_taken() -> None:
    pages = {way.path for way in ways(an_app()) if way.method == "GET"} - NO_PAGE.keys()
    assert pages - NOT_TAKEN.keys() == {*PAGES, *BEFORE_LOGIN} - {"/nowhere"}
    names = [named(route) for route in PAGES]
    assert len(set(names)) == len(names)
