"""Every answer of the document gets an example, made of the examples of its fields. Pure.

A field says its own by `Field(examples=[…])`; where the type alone tells what a value looks like, it need
not. What may be null and says nothing of itself is null.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

UNTOLD = "…"
"""In place of a text of which nothing is known: a test finds it."""
MOMENT = "2026-03-02T09:00:00.000Z"
_PLAIN: Mapping[str, Any] = {"integer": 3, "number": 2.5, "boolean": True}
_FORMATS: Mapping[str, str] = {"date-time": MOMENT, "date": MOMENT[:10]}

Schema = Mapping[str, Any]


def add_examples(document: dict[str, Any]) -> None:
    """To what is answered as JSON where something was done, and has no example yet."""
    shapes = document["components"]["schemas"]
    for methods in document["paths"].values():
        for route in methods.values():
            for status, answer in route["responses"].items():
                told = answer.get("content", {}).get("application/json")
                if status.startswith("2") and told is not None and "example" not in told:
                    told["example"] = example_of(told["schema"], shapes)


def example_of(schema: Schema, shapes: Mapping[str, Schema]) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    if "$ref" in schema:
        return example_of(shapes[schema["$ref"].rpartition("/")[2]], shapes)
    if "anyOf" in schema:
        return _of_either(schema["anyOf"], shapes)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        return {name: example_of(field, shapes) for name, field in fields.items()}
    if schema.get("type") == "array":
        return [example_of(schema["items"], shapes)]
    if schema.get("type") == "string":
        return _FORMATS.get(schema.get("format", ""), UNTOLD)
    return _PLAIN.get(schema.get("type", ""))


def _of_either(options: list[Schema], shapes: Mapping[str, Schema]) -> Any:
    """The first that says what it looks like."""
    for option in options:
        if "$ref" in option or "examples" in option:
            return example_of(option, shapes)
    null = any(option.get("type") == "null" for option in options)
    return None if null else example_of(options[0], shapes)
