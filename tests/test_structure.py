"""House rules as programs: each failure says which rule, where, and what to do about it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import ForeignKeyConstraint, PrimaryKeyConstraint, Table, UniqueConstraint

ROOT = Path(__file__).parents[1]
SHIPPED = ("app", "workers")
LINES_OF_A_MODULE = 300
LINES_OF_A_FUNCTION = 60
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc"}

# Tables of the whole installation. Every other table belongs to a website, and its primary,
# unique and foreign keys begin with website_id, so that the schema can be distributed by it.
NOT_PER_WEBSITE = {
    "websites": "is the list of websites; its id is the others' website_id",
    "quota_usage": "Crisp counts requests per plugin token, over all websites",
    "quota_pauses": "Crisp throttles per plugin token, over all websites",
    "scope_outcomes": "scopes are of the plugin token, whatever the website",
    "turns": "chores of the whole deployment",
    "working_processes": "a process works for every website",
    "inbox_events": "a hook is written down before it is known whose it is; website_id may be null",
    "hook_refusals": "nobody looks whose an unsigned hook says it is",
    "users": "people who log in may see several websites",
    "api_replies": "an idempotency key belongs to an API token, which may see several websites",
    "sessions": "a login is not about one website; website_id is set for Crisp's frame only",
    "login_tries": "nobody is known before the password was right",
    "password_links": "they belong to a user",
    "api_tokens": "a token may see several websites",
    "known_browsers": "a browser is known for a user, whatever websites that one sees",
    "purges": "what is kept for how long is a setting of the deployment",
    "alerts": "some conditions are the whole deployment's; website_id may be null",
    "alert_targets": "somebody may be told of every website; website_id may be null",
    "alert_messages": "they belong to an alert and a target",
    "audit_log": "users and tokens of the whole deployment are changed too; website_id may be null",
}


def modules() -> list[Path]:
    return [path for folder in SHIPPED for path in sorted((ROOT / folder).rglob("*.py"))]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("path", modules(), ids=named)
def test_module_is_short(path: Path) -> None:
    lines = len(path.read_text().splitlines())
    assert lines <= LINES_OF_A_MODULE, (
        f"{named(path)} has {lines} lines; split it by what changes together "
        f"(at most {LINES_OF_A_MODULE})."
    )


@pytest.mark.parametrize("path", modules(), ids=named)
def test_functions_are_short(path: Path) -> None:
    long = {
        node.name: lines
        for node in functions(path)
        if (lines := (node.end_lineno or node.lineno) - node.lineno + 1) > LINES_OF_A_FUNCTION
    }
    assert not long, f"In {named(path)}, over {LINES_OF_A_FUNCTION} lines: {long}. Split by step."


def test_names_tell_what_is_inside() -> None:
    empty = [
        named(path) for path in modules() if SAYS_NOTHING & set(re.split(r"[_./]", named(path)))
    ]
    assert not empty, f"Name these after what they are about, not {sorted(SAYS_NOTHING)}: {empty}"


def test_alembic_folder_is_no_package() -> None:
    found = [named(path) for path in (ROOT / "alembic").rglob("__init__.py")]
    assert not found, (
        f"Remove {found}: with it, `import alembic` finds our folder, not the library."
    )


def variables_of_settings() -> set[str]:
    from app.settings import Settings

    return {name.upper() for name in Settings.model_fields}


def variables_of_example() -> set[str]:
    return set(
        re.findall(r"^([A-Z][A-Z0-9_]*)=", (ROOT / ".env.example").read_text(), re.MULTILINE)
    )


def test_example_names_every_setting() -> None:
    missing = variables_of_settings() - variables_of_example()
    assert not missing, f"Describe these settings of app/settings.py in .env.example: {missing}"


def test_example_names_nothing_else() -> None:
    compose = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    unknown = variables_of_example() - variables_of_settings() - compose
    assert not unknown, f".env.example names what neither settings nor compose read: {unknown}"


def tables() -> list[Table]:
    from app.tables import metadata

    return metadata.sorted_tables


def website_tables() -> list[Table]:
    return [table for table in tables() if table.name not in NOT_PER_WEBSITE]


def leading_columns(table: Table) -> Iterator[tuple[str, str]]:
    """The name and first column of each key that a distributed table must have website_id in front of."""
    for constraint in table.constraints:
        if isinstance(constraint, PrimaryKeyConstraint | UniqueConstraint | ForeignKeyConstraint):
            columns = [column.name for column in constraint.columns]
            yield f"{type(constraint).__name__}{columns}", columns[0] if columns else ""
    for index in table.indexes:
        if index.unique:
            yield f"unique index {index.name}", getattr(index.expressions[0], "name", "")


def test_tables_are_found() -> None:
    assert {"websites", "contacts", "conversations", "messages"} <= {t.name for t in tables()}


def test_every_key_begins_with_the_website() -> None:
    wrong = [
        f"{table.name}: {key}"
        for table in website_tables()
        for key, first in leading_columns(table)
        if first != "website_id"
    ]
    assert not wrong, (
        "These keys do not begin with website_id, so the schema could no longer be distributed by "
        "website (docs/why.md). Put website_id first; or, if the table is not about one website, "
        "add it to NOT_PER_WEBSITE here with the reason:\n" + "\n".join(wrong)
    )


def test_every_website_table_has_a_primary_key() -> None:
    without = [table.name for table in website_tables() if not table.primary_key.columns]
    assert not without, f"These tables need a primary key that begins with website_id: {without}"


def test_foreign_keys_stay_within_a_website() -> None:
    wrong = [
        f"{table.name}.{[column.name for column in key.columns]} → {key.referred_table.name}"
        for table in website_tables()
        for key in table.foreign_key_constraints
        if key.referred_table.name not in NOT_PER_WEBSITE
        and key.elements[0].column.name != "website_id"
    ]
    assert not wrong, f"These could point into another website; begin both with website_id: {wrong}"
