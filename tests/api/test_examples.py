"""The document shows what each answer looks like: examples that keep to their own schemas (SPEC V7)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from app.api.examples import UNTOLD, example_of
from tests.api.test_as_pages import document

Schema = dict[str, Any]


def answers(told: dict[str, Any]) -> Iterator[tuple[str, Schema]]:
    """Where something was done, as JSON: which route, and what is said of the answer."""
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            for status, answer in route["responses"].items():
                media = answer.get("content", {}).get("application/json")
                if status.startswith("2") and media is not None:
                    yield f"{method.upper()} {path} {status}", media


def bodies(told: dict[str, Any]) -> Iterator[tuple[str, Schema]]:
    for path, methods in told["paths"].items():
        for method, route in methods.items():
            media = route.get("requestBody", {}).get("content", {}).get("application/json")
            if media is not None:
                yield f"body of {method.upper()} {path}", media


def schemas(told: Any, where: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema inside that has examples."""
    if isinstance(told, list):
        for one in told:
            yield from schemas(one, where)
    if isinstance(told, dict):
        if isinstance(told.get("examples"), list):
            yield where, told
        for name, one in told.items():
            if name not in {"examples", "example"}:
                yield from schemas(one, f"{where}/{name}")


def wrong(schema: Schema, example: Any, told: dict[str, Any]) -> list[str]:
    """What speaks against the example; references lead into the document."""
    whole = {**schema, "components": told["components"]}
    checked = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    return [error.message for error in checked.iter_errors(example)]


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from texts(one)


def test_each_answer_has_an_example_that_keeps_to_its_schema() -> None:
    told = document()
    found = dict(answers(told))
    assert len(found) >= 80
    for name, media in found.items():
        assert media.get("example"), f"{name}: no example"
        assert not wrong(media["schema"], media["example"], told), name


def test_no_example_leaves_a_text_untold() -> None:
    for name, media in answers(document()):
        assert UNTOLD not in set(texts(media["example"])), (
            f"{name}: a text of {media['example']} has no example; "
            "give its field one: Field(examples=[…])"
        )


def test_each_example_of_a_field_or_a_body_keeps_to_its_schema() -> None:
    told = document()
    found = list(schemas({"components": told["components"], "paths": told["paths"]}))
    assert len(found) >= 150
    for where, schema in found:
        for example in schema["examples"]:
            assert not wrong(schema, example, told), where
    for name, media in bodies(told):
        for example in [media["example"]] if "example" in media else ():
            assert not wrong(media["schema"], example, told), name


def test_a_list_shows_one_whole_record() -> None:
    (example,) = [
        media["example"] for name, media in answers(document()) if name == "GET /contacts 200"
    ]
    assert example["next_cursor"] is None
    (contact,) = example["data"]
    assert contact["name"] == "Ann Example"
    assert contact["addresses"] == [
        {"email": "ann@acme.example", "primary": True, "source": "crisp"}
    ]
    assert contact["deleted_at"] is None


@pytest.mark.parametrize(
    ("schema", "example"),
    [
        ({"type": "string"}, UNTOLD),
        ({"type": "string", "format": "date"}, "2026-03-02"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, None),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, UNTOLD),
        ({"anyOf": [{"type": "null"}, {"$ref": "#/components/schemas/One"}]}, {"n": 7}),
        ({"type": "array", "items": {"enum": ["b", "a"]}}, ["b"]),
        ({"const": 5}, 5),
        ({"type": "object", "examples": [{}]}, {}),
        ({}, None),
    ],
)
def test_an_example_is_made_of_what_a_schema_says(schema: Schema, example: Any) -> None:
    one = {"type": "object", "properties": {"n": {"type": "integer", "examples": [7, 8]}}}
    assert example_of(schema, {"One": one}) == example
