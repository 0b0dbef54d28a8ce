"""What a person can do on the pages: for each form, what is typed and what must be seen afterwards.

In the order in which it is done, on the world of `acting`. A route that takes a form and is not here
fails tests/browser/test_each_action.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field

CSV = b"email,name\nzoe@fresh.example,Zoe Fresh\nyan@fresh.example,Yan Fresh\n"


@dataclass(frozen=True, slots=True)
class Deed:
    """`route` as the app names it, with a word of its own for `{what}`.

    `page`: where the form is; empty for where the deed before led to. `form`: its selector. `fill`: by
    field name. `seen`: a pattern of the text of the page afterwards. `stranger`: by nobody logged in.
    """

    route: str
    page: str
    form: str
    seen: str
    fill: dict[str, str] = field(default_factory=dict)
    stranger: bool = False


def to(action: str, having: str = "") -> str:
    """The form that goes there; of several the one that holds `having`."""
    inside = f":has({having})" if having else ""
    return f'form[method=post][action^="{action}"]{inside}'


def by(label: str) -> str:
    return f'button[aria-label*="{label}"]'


CREDENTIAL = "/settings/credential"
IMPORT = "/imports/{import_id}"
TALK = "/conversations/talk"

DEEDS = (
    # The credential first: what asks Crisp needs it.
    Deed(CREDENTIAL, CREDENTIAL, to(CREDENTIAL), "Saved. It counts at once",
         {"identifier": "{identifier}", "key": "{key}", "plugin_id": "{plugin}",
          "signing_secrets": "a-signing-secret"}),
    Deed("/settings/connection/check", "/settings/connection?website={crisp}",
         to("/settings/connection/check"), "No process works"),
    Deed("/settings/connection/pause", "/settings/connection?website={crisp}",
         to("/settings/connection/pause"), "is paused"),
    Deed("/settings/connection/resume", "", to("/settings/connection/resume"), "is connected"),
    Deed("/contacts/{row_id}/refresh", "/contacts/{person}?website={crisp}", to("/contacts/"),
         "Read again from Crisp just now"),
    Deed("/conversations/{row_id}/refresh", "/conversations/{thread}?website={crisp}",
         to("/conversations/{thread}/refresh"), "Read again from Crisp just now"),
    Deed("/syncs/preview", "/syncs?website={crisp}", to("/syncs/preview"), "At today’s quota",
         {"first": "2015-01-01", "last": "2026-01-31"}),
    Deed("/syncs", "", to("/syncs", "[value=backfill]"), "Backfill.*Waits for the worker"),
    Deed("/syncs", "/syncs?website={crisp}", to("/syncs", "[value=incremental]"),
         "Incremental sync.*Waits for the worker"),
    Deed("/settings/connection/first-import", "/settings/connection?website={crisp}",
         "#contacts " + to("/settings/connection/first-import"), "Full sync.*Waits for the worker"),
    Deed("/syncs/{run_id}/resume", "/syncs/halted", to("/syncs/halted/resume"), "[Ww]aits for the worker"),
    Deed("/syncs/{run_id}/pause", "/syncs/live", to("/syncs/live/pause"), "Pausing|[Pp]aused"),
    Deed("/syncs/{run_id}/cancel", "/syncs/halted", to("/syncs/halted/cancel"),
         "Cancelling|cancelled"),
    Deed("/settings/connect", "/settings/connection", to("/settings/connect", "[name=website_id]"),
         "is waiting|is connected", {"website_id": "{another}"}),
    # The link of a conversation.
    Deed("/conversations/{row_id}/link", TALK, to(f"{TALK}/link", "[value=pin]"), "Pinned to.*Ann"),
    Deed("/conversations/{row_id}/link", TALK, to(f"{TALK}/link", "[value=deny]"),
         "Denied for.*Ann"),
    Deed("/conversations/{row_id}/link", TALK, to(f"{TALK}/link", "[value=release]"),
         "Link to a contact"),
    Deed("/conversations/{row_id}/link", f"{TALK}/move?q=www", to(f"{TALK}/link"),
         "Pinned to.*WWW"),
    # Contacts.
    Deed("/contacts/new", "/contacts/new", to("/contacts/new"), "The contact was created.*Zita",
         {"f.name": "Zita Zander", "f.emails": "zita@zander.example"}),
    Deed("/contacts/{row_id}/edit", "/contacts/bob/edit", to("/contacts/bob/edit"),
         "Renamed Bob.*Saved", {"f.name": "Renamed Bob"}),
    Deed("/contacts/{row_id}/delete", "/contacts/bob", to("/contacts/bob/delete"), "Deleted"),
    Deed("/contacts/{row_id}/restore", "/contacts/bob", to("/contacts/bob/restore"), "Delete hides|Deleting hides"),
    Deed("/contacts/{row_id}/merge", "/contacts/ann/merge?other=bob", to("/contacts/ann/merge"),
         "Same person.*Renamed Bob"),
    Deed("/merges/{merge_id}/undo", "/contacts/ann", to("/merges/", by("Renamed Bob")),
         "The merge is taken back.*Renamed Bob"),
    Deed("/contacts/{contact_id}/erase", "/contacts/bob/erase", to("/contacts/bob/erase"),
         "[Ee]rased", {"typed": "erase"}),
    # Companies.
    Deed("/companies/new", "/companies/new", to("/companies/new"), "The company was created",
         {"f.name": "Zander Works", "f.domain": "zander.example"}),
    Deed("/companies/{row_id}/edit", "/companies/acme/edit", to("/companies/acme/edit"),
         "Acme Renamed.*Saved", {"f.name": "Acme Renamed"}),
    Deed("/companies/{row_id}/delete", "/companies/widest", to("/companies/widest/delete"),
         "Deleted"),
    Deed("/companies/{row_id}/restore", "/companies/widest", to("/companies/widest/restore"),
         "Deleting hides"),
    Deed("/companies/{row_id}/merge", "/companies/acme/merge?other=widest",
         to("/companies/acme/merge"), "Same company.*WWW"),
    Deed("/companies/{company_id}/domains", "/companies/acme", to("/companies/acme/domains"),
         "tied-by-hand.example", {"domain": "tied-by-hand.example"}),
    Deed("/settings/domains/release", "/companies/acme",
         to("/settings/domains/release", by("tied-by-hand.example")), "Domains tied to it"),
    Deed("/settings/domains", "/settings/domains", to("/settings/domains", "[name=what]"), "left-out.example",
         {"domain": "left-out.example", "what": "ignore"}),
    # Groups without a contact.
    Deed("/unmatched/remedy",
         "/unmatched/remedy?kind=ignore&reason=unknown_email&domain=nowhere.example",
         to("/unmatched/remedy"), "nowhere.example.*Undo"),
    Deed("/unmatched/remedies/{remedy_id}/undo", "", to("/unmatched/remedies/"),
         "Everything is as it was before|stays"),
    # Events.
    Deed("/events/{event_id}/replay", "/events/{letter}", to("/events/{letter}/replay"),
         "1 event was put back"),
    Deed("/events/replay", "/events", to("/events/replay"), "put back"),
    # Files.
    Deed("/imports", "/imports", to("/imports"), "What fills what|zoe@fresh.example",
         {"file": "fresh.csv"}),
    Deed(f"{IMPORT}/layout", "", "form.layout", "zoe@fresh.example", {"separator": "comma"}),
    Deed(f"{IMPORT}/plan", "", "form.mapping", "Import 2 rows", {"segment": "imported"}),
    Deed(f"{IMPORT}/remap", "", 'form[action*="/remap"]', "Separator"),
    Deed(f"{IMPORT}/plan", "", "form.mapping", "Import 2 rows"),
    Deed(f"{IMPORT}/again", "", 'form[action*="/again"]', "Import 2 rows"),
    Deed(f"{IMPORT}/commit", "", 'form[action*="/commit"]', "2.*created"),
    Deed(f"{IMPORT}/rows/{{line}}/undo", "", 'form[action*="/rows/"]', "taken back"),
    Deed(f"{IMPORT}/undo", "", 'form[action*="/undo"]:not([action*="/rows/"])', "taken back"),
    Deed(f"{IMPORT}/cancel", "/imports/mapped", to("/imports/mapped/cancel"), "discarded|cancelled"),
    # Lists that are kept.
    Deed("/views", "/contacts?q=a", to("/views", "[name=name]"), "Kept by hand",
         {"name": "Kept by hand"}),
    Deed("/views/{view_id}/remove", "/companies", to("/views/"), "[Cc]ompan"),
    # The settings of a website.
    Deed("/settings/website", "/settings/website", to("/settings/website"), "Saved",
         {"time_zone": "Europe/Madrid"}),
    Deed("/settings/mapping", "/settings/mapping", to("/settings/mapping"), "Saved"),
    Deed("/settings/alerts", "/settings/alerts", to("/settings/alerts", "[name=address]"), "Saved",
         {"address": "watch@acme.example"}),
    Deed("/settings/alerts/{target_id}/test", "/settings/alerts",
         to("/settings/alerts/", by("Send a test: watch@")), "[Tt]est"),
    Deed("/settings/alerts/{target_id}/enable", "/settings/alerts",
         to("/settings/alerts/", by("Send again")), "Send a test|Tell somebody"),
    Deed("/settings/alerts/{target_id}/remove", "/settings/alerts",
         to("/settings/alerts/", by("Remove: watch@")), "Tell somebody"),
    Deed("/settings/tokens", "/settings/tokens", to("/settings/tokens", "[name=name]"),
         "Copy the token now", {"name": "For a report", "every": "yes"}),
    Deed("/settings/tokens/{token_id}/revoke", "/settings/tokens",
         to("/settings/tokens/", by("For a report")), "revoked"),
    # The team.
    Deed("/settings/team", "/settings/team", to("/settings/team"), "/welcome\\?link=",
         {"email": "new@acme.example", "name": "New One"}),
    Deed("/settings/team/{user_id}/role", "/settings/team/somebody1",
         to("/settings/team/somebody1/role"), "viewer", {"role": "viewer"}),
    Deed("/settings/team/{user_id}/websites", "/settings/team/somebody1",
         to("/settings/team/somebody1/websites"), "somebody1"),
    Deed("/settings/team/{user_id}/link", "/settings/team/somebody1",
         to("/settings/team/somebody1/link"), "/welcome\\?link="),
    Deed("/settings/team/{user_id}/disable", "/settings/team/somebody1",
         to("/settings/team/somebody1/disable"), "[Dd]isabled"),
    Deed("/settings/team/{user_id}/enable", "/settings/team/somebody1",
         to("/settings/team/somebody1/enable"), "Disable"),
    Deed("/settings/team/{user_id}/remove", "/settings/team/somebody1",
         to("/settings/team/somebody1/remove"), "Invite somebody"),
    # Crisp's frame.
    Deed("/plugin/website", "/plugin/website", to("/plugin/website", "[name=time_zone]"), "Saved",
         {"time_zone": "Europe/Madrid"}),
    Deed("/plugin/website/sync", "/plugin/website", to("/plugin/website/sync", "[value=full]"),
         "Full sync"),
    # The end of things, last.
    Deed("/settings/disconnect", "/settings/disconnect?website={crisp}",
         to("/settings/disconnect", "[value=keep]"), "is disconnected"),
    Deed("/settings/disconnect", "/settings/disconnect?website={crisp}",
         to("/settings/disconnect", "[value=erase]"), "Overview", {"name": "{crisp_name}"}),
    Deed(CREDENTIAL, CREDENTIAL, to(CREDENTIAL, "[name=forget]"), "Saved"),
    Deed("/settings/profile", "/settings/profile", to("/settings/profile"), "Called Anew",
         {"name": "Called Anew"}),
    Deed("/logout", "/", to("/logout"), "Log in"),
    Deed("/welcome", "/welcome?link=an-invitation", to("/welcome"), "Overview|Conversations",
         {"new": "a-long-password", "again": "a-long-password"}, stranger=True),
    Deed("/login", "/login", to("/login"), "Overview",
         {"email": "somebody@acme.example", "password": "a-long-password"}, stranger=True),
    Deed("/settings/password", "/settings/profile", to("/settings/password"), "[Cc]hanged",
         {"old": "a-long-password", "new": "another-password", "again": "another-password"}),
)  # fmt: skip
