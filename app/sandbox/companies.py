"""The firms people work for: company *c* of a website, computed from its number.

Every domain is a reserved one (RFC 2606: ``.example``), and no two domains share a name.
"""

from app.sandbox.phrases import company_words


def company_name(c: int) -> str:
    """The name most of its people give; unique per company."""
    words = company_words()
    first, second = words["first"], words["second"]
    round_, rest = divmod(c, len(first) * len(second))
    name = f"{first[rest % len(first)]} {second[(rest // len(first) + rest) % len(second)]}"
    return name if round_ == 0 else f"{name} {round_ + 1}"


def old_name(c: int) -> str:
    """What the company was called before its rename; some profiles still say so."""
    return f"{company_name(c)} & Partners"


def company_domain(c: int) -> str:
    """``kestrel-bakery.example``; an accent in the name is dropped, as firms do."""
    name = company_name(c).replace("é", "e").lower()
    return f"{name.replace(' ', '-')}.example"


def solo_name(s: int) -> str:
    """A firm without a domain."""
    words = company_words()["solo"]
    round_, rest = divmod(s, len(words))
    return words[rest] if round_ == 0 else f"{words[rest]} No. {round_ + 1}"


def company_tag(c: int) -> str:
    tags = company_words()["tags"]
    return tags[c % len(tags)]
