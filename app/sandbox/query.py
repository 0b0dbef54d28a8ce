"""Reading the parameters of a request; whatever Crisp would refuse is refused with 400."""

from datetime import UTC, datetime
from urllib.parse import parse_qsl

from app.sandbox.envelope import Refused

Params = dict[str, str]

PER_PAGE = (20, 50)


def parse(raw: bytes) -> Params:
    if not raw:
        return {}
    return dict(parse_qsl(raw.decode("latin-1"), keep_blank_values=True))


def bad(name: str) -> Refused:
    return Refused(400, "invalid_data", f"bad value of {name}")


def number(text: str, name: str) -> int:
    # int() would also take "1_0", " 7 " and digits of other scripts.
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20):
        raise bad(name)
    return int(text)


def page_number(text: str) -> int:
    """Pages count from 1 (REFERENCE section 3)."""
    page = number(text, "page_number")
    if page < 1:
        raise bad("page_number")
    return page


def per_page(params: Params) -> int:
    size = number(params.get("per_page", "20"), "per_page")
    if not PER_PAGE[0] <= size <= PER_PAGE[1]:
        raise bad("per_page")
    return size


def flag(params: Params, name: str, *, default: bool = False) -> bool:
    """Flags are written 1 and 0, nothing else."""
    text = params.get(name)
    if text is None:
        return default
    if text not in ("0", "1"):
        raise bad(name)
    return text == "1"


def date_ms(params: Params, name: str) -> int | None:
    """An ISO 8601 date or date-time as ms; without an offset it is UTC."""
    text = params.get(name)
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise bad(name) from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000 + 0.5)


def only(params: Params, known: frozenset[str]) -> None:
    """Refuse parameters the route does not have: a misspelt one must not pass unseen."""
    for name in params:
        if name not in known:
            raise Refused(400, "invalid_data", f"unknown parameter {name}")
