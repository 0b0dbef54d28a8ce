"""Bar charts whose bars are links and whose numbers stand in a table beside them.

pygal draws; its own styles and scripts are taken out, since the pages allow neither inline, and the
style sheet colours what is left, in light and in dark.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from xml.etree import ElementTree as ET

import pygal  # type: ignore[import-untyped]
from markupsafe import Markup

# Its import hook is for map plugins that are not here, and of a kind that Python warns of.
sys.meta_path[:] = [one for one in sys.meta_path if type(one).__name__ != "PluginImportFixer"]

_WIDTH, _HEIGHT = 640, 150
_KEPT = frozenset({"a", "g", "path", "rect", "text"})
_LINK = "{http://www.w3.org/1999/xlink}href"
_SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True, slots=True)
class Slot:
    """A day or a week, and how much was in it; `url` leads to what was counted."""

    label: str
    count: int
    url: str


@dataclass(frozen=True, slots=True)
class Chart:
    slots: list[Slot]
    svg: Markup

    @property
    def total(self) -> int:
        return sum(slot.count for slot in self.slots)

    @property
    def counts(self) -> list[int]:
        return [slot.count for slot in self.slots]


def opened_chart(
    spans: Sequence[tuple[date, date]],
    counts: Sequence[int],
    url: Callable[..., str],
    **narrowed: str,
) -> Chart:
    """Each bar leads to the conversations that were opened in its day or week."""
    slots = [
        Slot(
            span_label(first, last),
            count,
            url(
                "/conversations", **narrowed, **{"from": first.isoformat(), "to": last.isoformat()}
            ),
        )
        for (first, last), count in zip(spans, counts, strict=True)
    ]
    return Chart(slots, draw(slots))


def span_label(first: date, last: date) -> str:
    if first == last:
        return f"{first.day} {first:%b}"
    return f"{first.day} {first:%b} to {last.day} {last:%b}"


def draw(slots: Sequence[Slot]) -> Markup:
    most = max((slot.count for slot in slots), default=0)
    bars = pygal.Bar(
        width=_WIDTH, height=_HEIGHT, margin=4, spacing=4, show_legend=False, js=(), css=(),
        x_labels_major_every=max(1, len(slots) // 4), show_minor_x_labels=False,
        truncate_label=-1, no_data_text="",
    )  # fmt: skip
    bars.x_labels = [slot.label.split(" to ")[0] for slot in slots]
    bars.y_labels = sorted({0, most // 2, most}) if most else [0, 1]
    bars.add("", [{"value": slot.count, "xlink": slot.url} for slot in slots])
    return _bare(bars.render_tree(), slots)


def _bare(svg: ET.Element, slots: Sequence[Slot]) -> Markup:
    """The drawing without what a browser would run, load or refuse, and with words for its bars."""
    for parent in list(svg.iter()):
        for child in list(parent):
            if _name(child) not in _KEPT:  # a comment's name is no text
                parent.remove(child)
    for link, slot in zip((e for e in svg.iter() if _name(e) == "a"), slots, strict=False):
        link.attrib.clear()
        link.set("href", slot.url)
        link.set("aria-label", f"{slot.label}: {slot.count}")
        title = ET.Element("title")
        title.text = f"{slot.label}: {slot.count}"
        link.insert(0, title)
    for element in svg.iter():
        element.tag = _name(element)
        for key in [key for key in element.attrib if key in {"id", "style"} or key == _LINK]:
            del element.attrib[key]
    svg.attrib = {"class": "plot-frame", "viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "group",
                  "aria-label": "Bar chart; the same numbers stand in the table after it"}  # fmt: skip
    return Markup(ET.tostring(svg, encoding="unicode", method="html"))  # noqa: S704  # ElementTree escapes


def _name(element: ET.Element) -> str:
    return str(element.tag).removeprefix(_SVG)
