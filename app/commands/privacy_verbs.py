"""`crispsync erase` and `crispsync person`; wiring only."""

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
