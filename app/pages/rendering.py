"""Templates: everything is escaped, and a missing name is an error instead of an empty place."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.pages import contents, event_words, text, wording
from app.pages.times import duration

if TYPE_CHECKING:
    from app.pages.frame import Frame

HERE = Path(__file__).parent
STATIC = HERE / "static"


@lru_cache(maxsize=1)
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters.update(
        clean=text.clean,
        linked=text.linked,
        line=text.one_line,
        initials=text.initials,
        num=text.number,
        capped=event_words.capped,
        counted_everywhere=event_words.counted_everywhere,
        origin=wording.origin_word,
        duration=duration,
    )
    made.globals.update(
        plural=text.plural,
        fold=text.fold,
        asset=asset,
        wording=wording,
        shaped=contents.shaped,
    )
    return made


def _shown(value: Any) -> Any:
    """Every text that a template writes, cleaned even where its template forgot to."""
    return text.clean(value) if type(value) is str else value


@lru_cache(maxsize=8)
def asset(name: str) -> str:
    """The address of a static file; it changes with the content, so it can be cached for ever."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"/static/{name}?v={digest}"


def fragment(template: str, frame: Frame, **context: Any) -> str:
    moments = frame.moments
    return (
        environment()
        .get_template(template)
        .render(
            frame=frame,
            url=frame.url,
            ago=moments.ago,
            clock=moments.clock,
            on=moments.on,
            since=moments.since,
            **context,
        )
    )


def render(template: str, frame: Frame, status: int = 200, **context: Any) -> HTMLResponse:
    # Pages hold other people's data: no cache keeps them after a logout.
    headers = {"Cache-Control": "private, no-store"}
    return HTMLResponse(fragment(template, frame, **context), status, headers)
