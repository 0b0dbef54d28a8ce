"""The verbs of people, tokens and keys, as app/cli.py has the others; what they do is imported when they run."""

from __future__ import annotations

import sys
from typing import Any

import click

website_grants = click.option(
    "--website", "website_ids", multiple=True, help="Crisp's website id; may be repeated."
)


@click.group()
def user() -> None:
    """The people who log in; the page Settings, Team does the rest."""


@user.command("add")
@click.argument("email")
@click.option("--role", required=True, type=click.Choice(("admin", "member", "viewer")))
@website_grants
@click.option("--password", is_flag=True, help="Read the password from standard input.")
def add_user(email: str, role: str, website_ids: tuple[str, ...], password: bool) -> None:
    """Add EMAIL to the team and print the link that sets a password; an admin sees every website."""
    from app.commands import accounts

    click.echo(accounts.add_user(email, role, website_ids, password=password))


@click.group()
def token() -> None:
    """Tokens of the JSON API."""


@token.command("create")
@click.argument("name")
@click.option("--scope", required=True, type=click.Choice(("read", "write", "admin")))
@website_grants
@click.option(
    "--days",
    default=365,
    show_default=True,
    type=click.IntRange(0, 3650),
    help="Until it expires; 0: never.",
)
def create_token(name: str, scope: Any, website_ids: tuple[str, ...], days: int) -> None:
    """Print a new token, once. It sees every website unless some are named."""
    from app.commands import accounts

    click.echo(accounts.make_token(name, scope, website_ids, days))


@click.group()
def keys() -> None:
    """The keys that seal credentials and tokens in the database."""


@keys.command("rotate")
def rotate_keys() -> None:
    """Seal everything with the first SECRET_KEY; run again, it goes on where it stopped."""
    from app.commands import keys as commands

    sys.exit(commands.rotate())
