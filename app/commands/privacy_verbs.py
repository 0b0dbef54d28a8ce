"""`crispsync erase`, `crispsync erasures` and `crispsync person`; wiring only."""

from __future__ import annotations

import click


@click.command()
@click.argument("contact_id", required=False)
@click.option("--email", metavar="ADDRESS", help="Everybody who has it, in every website.")
def erase(contact_id: str | None, email: str | None) -> None:
    """Erase a person everywhere, for good; a keyed hash keeps them out."""
    from app.commands import privacy

    click.echo(privacy.erase(contact_id, email))


@click.command()
@click.argument("contact_id")
@click.option("--out", metavar="FILE", help="Default: stdout.")
def person(contact_id: str, out: str | None) -> None:
    """Everything stored about one person, as one JSON document; notes of the team too."""
    from app.commands import privacy

    click.echo(privacy.hand_out_person(contact_id, out), nl=False)


@click.group()
def erasures() -> None:
    """The list of erased people that is kept outside the database."""


@erasures.command("apply")
def apply_erasures() -> None:
    """Erase again whom a restored backup brought back; every other command does it first, too."""
    from app.commands import database

    click.echo(database.apply_erasures_again())
