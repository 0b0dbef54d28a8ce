"""What a remedy does to conversations without a contact, in words: before it is done, and after. Pure."""

from __future__ import annotations

from typing import Any

from app.companies.free_mail import is_free_mail
from app.edits.wishes import MOST, NO_ADDRESS, Effect
from app.pages.text import number, one_line, plural
from app.pages.wording import contact_name, reason_title

# By kind: the button's words, the key, and what it is for.
REMEDIES: dict[str, tuple[str, str, str]] = {
    "create": ("Make contacts", "c", "one for each address"),
    "link": ("Link to a contact", "l", "whom you choose"),
    "tie": ("Tie domain to a company", "t", "all addresses of the domain"),
    "ignore": ("Ignore domain", "i", "nobody asks about it again"),
    "leave": ("Leave as it is", "b", "until the reason changes"),
}
_WITHOUT_CONTACT = frozenset({"unknown_email", "unknown_person"})
_SHORTEST_LABEL = 2


def offered(reason: str | None, domain: str | None) -> list[str]:
    """The kinds that can mend a group; `domain` None: of several domains or none."""
    address = domain != NO_ADDRESS and reason != "no_identity"
    kinds = ["create"] if address and (reason is None or reason in _WITHOUT_CONTACT) else []
    kinds.append("link")
    if address:
        free = domain is not None and is_free_mail(domain)
        kinds += ["ignore"] if free else ["tie", "ignore"]
    return [*kinds, "leave"]


def group_title(reason: str | None, domain: str | None) -> str:
    if domain and domain != NO_ADDRESS:
        return one_line(domain, 120)
    return reason_title(reason) if reason else "Conversations without a contact"


def name_of_domain(domain: str | None) -> str:
    """`Acme` of `acme.example`: what a new company could be called."""
    label = (domain or "").split(".")[0]
    return label[:1].upper() + label[1:] if len(label) >= _SHORTEST_LABEL else ""


def before(effect: Effect, target: str) -> list[str]:
    """What would happen, a sentence each; `target`: the contact's or company's name."""
    n = len(effect.ids)
    told = [_BEFORE[effect.wish.kind](effect, n, target)]
    if effect.more:
        told.append(
            f"A remedy is about {number(MOST)} conversations at most: these are the newest, and "
            f"{number(effect.more)} more stay in the group for the next time."
        )
    return told


def _create(effect: Effect, n: int, _target: str) -> str:
    if len(effect.new) == 1:
        return f"1 new contact; {_theirs(n)}."
    return f"{plural(len(effect.new), 'new contact')}, one for each address; {_theirs(n)}."


def _theirs(n: int) -> str:
    return f"{plural(n, 'conversation')} {'is' if n == 1 else 'are'} theirs from then on"


def _link(_effect: Effect, n: int, target: str) -> str:
    are, them = ("is", "it") if n == 1 else ("are", "them")
    return f"{plural(n, 'conversation')} {are} pinned to {target}; no rule moves {them} from there."


def _tie(effect: Effect, n: int, target: str) -> str:
    made = "a new company, " if effect.wish.company_name is not None else ""
    known = f", {number(effect.matched)} of which have a contact already" if effect.matched else ""
    return (
        f"{_domains(effect.domains)} {_belong(effect.domains)} to {made}{target}: "
        f"{plural(n, 'conversation')}{known}, and whatever comes from there later."
    )


def _ignore(effect: Effect, n: int, _target: str) -> str:
    return (
        f"{_domains(effect.domains)} {'is' if len(effect.domains) == 1 else 'are'} nobody’s: "
        f"{plural(n, 'conversation')} {'leaves' if n == 1 else 'leave'} this list, and so does "
        "whatever comes from there later. No company or contact changes."
    )


def _leave(_effect: Effect, n: int, _target: str) -> str:
    leaves, its = ("leaves", "its reason") if n == 1 else ("leave", "their reason")
    return (
        f"{plural(n, 'conversation')} {leaves} this list until {its} changes. No contact changes."
    )


_BEFORE = {"create": _create, "link": _link, "tie": _tie, "ignore": _ignore, "leave": _leave}


def _domains(domains: list[str]) -> str:
    return domains[0] if len(domains) == 1 else f"{number(len(domains))} domains"


def _belong(domains: list[str]) -> str:
    return "belongs" if len(domains) == 1 else "belong"


def done(row: Any) -> str:
    """What a remedy did, of a row with the names of its contact and company."""
    counts = row.counts
    n = plural(counts["conversations"], "conversation")
    domain = row.domain if row.domain and row.domain != NO_ADDRESS else None
    of = (
        f" of {domain}" if domain else f", {reason_title(row.reason).lower()}" if row.reason else ""
    )
    what = domain if counts["domains"] == 1 and domain else plural(counts["domains"], "domain")
    contact = contact_name(row.contact_name, row.contact_email, "a contact that is gone")
    return {
        "create": f"Made {plural(counts['contacts'], 'contact')} for {n}{of}",
        "link": f"Linked {n} to {contact}{of}",
        "tie": f"Tied {what} to {row.company_name or 'a company that is gone'}: {n}",
        "ignore": f"Ignored {what}: {n}",
        "leave": f"Left {n} as {'it is' if counts['conversations'] == 1 else 'they are'}{of}",
    }[row.kind]
