"""The `crispsync` command; wiring only. Each verb imports what it needs when it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import click

from app.commands.account_verbs import keys, token, user
from app.commands.privacy_verbs import erase, erasures, person
from app.garbage import search_rarely

Command: TypeAlias = Callable[..., None]

website_option = click.option("--website", "website_id", help="Crisp's website id; default: all.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON document.")
wait_option = click.option("--wait", is_flag=True, help="Work in the foreground, with progress.")


class OneSentence(click.Group):
    """Expected errors end in one sentence on stderr and their exit code, never in a traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        from app.errors import CrispsyncError

        try:
            return super().invoke(ctx)
        except CrispsyncError as error:
            # What somebody typed may be part of it, line ends too.
            click.echo(f"crispsync: {' '.join(error.message.split())}", err=True)
            ctx.exit(error.exit_code)


@click.group(cls=OneSentence, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="crispsync")
def main() -> None:
    """A Crisp website's people, conversations and messages, per contact and per company."""
    search_rarely()


@main.command()
def migrate() -> None:
    """Bring the database to this version; also done by serve and worker at start."""
    from app.commands import database

    click.echo(database.migrate())


@main.command()
@click.argument("website_id")
def connect(website_id: str) -> None:
    """Verify with Crisp that the plugin is installed on WEBSITE_ID, and save it."""
    from app.commands import websites

    click.echo(websites.connect(website_id))


@main.command()
@click.argument("website_id")
@click.option("--erase", is_flag=True, help="Erase everything stored of it, too.")
def disconnect(website_id: str, erase: bool) -> None:
    """Stop everything for WEBSITE_ID; its data is kept unless --erase."""
    from app.commands import websites

    click.echo(websites.disconnect(website_id, erase=erase))


@main.command("websites")
@json_option
def list_websites(as_json: bool) -> None:
    """The connected websites."""
    from app.commands import websites

    click.echo(websites.describe(as_json=as_json))


@main.command()
@click.option("--full", "kind", flag_value="full", help="All people and conversations.")
@click.option("--incremental", "kind", flag_value="incremental", help="What changed since.")
@website_option
@wait_option
@click.option(
    "--accept-removals",
    is_flag=True,
    help="With --full: believe removals also when they are more than 2 %.",
)
def sync(kind: str | None, website_id: str | None, wait: bool, accept_removals: bool) -> None:
    """Pull from Crisp: --full or --incremental."""
    from app.commands import syncs
    from app.errors import Refused

    if kind is None:
        raise Refused("Say which: crispsync sync --full or crispsync sync --incremental.")
    sys.exit(syncs.sync(kind, website_id, wait=wait, accept_removals=accept_removals))


@main.command()
@click.option("--from", "from_text", required=True, metavar="DATE", help="2026-01-31, included.")
@click.option("--to", "to_text", required=True, metavar="DATE", help="2026-02-28, included.")
@website_option
@click.option("--preview", is_flag=True, help="Only tell what it would cost.")
@wait_option
def backfill(
    from_text: str, to_text: str, website_id: str | None, preview: bool, wait: bool
) -> None:
    """Pull the conversations last updated between two dates."""
    from app.commands import syncs

    sys.exit(syncs.backfill(from_text, to_text, website_id, preview=preview, wait=wait))


@main.command()
@website_option
@click.option(
    "--sample", metavar="N", help="Conversations to read again, or: all. Default: the daily size."
)
@wait_option
def audit(website_id: str | None, sample: str | None, wait: bool) -> None:
    """Read a sample again, compare it with what is stored, and repair what differs."""
    from app.commands import syncs

    sys.exit(syncs.audit(sample, website_id, wait=wait))


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
def serve(host: str, port: int) -> None:
    """The pages; the jobs too when REDIS_URL is unset."""
    from app.commands import server

    server.serve(host, port)


@main.command()
@click.option("--check", is_flag=True, help="Only tell whether a process of this host works.")
def worker(*, check: bool) -> None:
    """The jobs, through Redis; needs REDIS_URL."""
    from app.commands import server

    if check:
        click.echo(server.check_working())
    else:
        server.work()


@main.command()
@click.option("--port", default=8010, show_default=True, type=click.IntRange(0, 65535))
@click.option("--seed", default=1, show_default=True)
@click.option("--people", default=300, show_default=True, type=click.IntRange(0))
@click.option("--conversations", default=900, show_default=True, type=click.IntRange(0))
@click.option("--delay-ms", default=0.0, help="Every answer takes this long.")
@click.option("--changes-per-request", default=0, help="Rows that change between two requests.")
@click.option("--quota", type=click.IntRange(1), help="Requests a day before 423.")
@click.option("--live", default=0.0, metavar="N", help="Changes a minute.")
@click.option("--hooks-to", metavar="URL", help="Send a signed web hook there for each change.")
def sandbox(port: int, seed: int, people: int, conversations: int, **options: Any) -> None:
    """A Crisp in the box: REST and web hooks, seeded, with faults on demand."""
    from app.sandbox.serve import run

    given = {name: value for name, value in options.items() if value}
    run("127.0.0.1", port, seed, people, conversations, **given)


@main.command("import")
@click.argument("file", type=click.Path())
@click.option("--website", "website_id", required=True, help="Crisp's website id.")
@click.option("--mapping", type=click.Path(), help="JSON: which column fills which field.")
@click.option(
    "--mode",
    type=click.Choice(["merge", "overwrite", "fill-empty", "create-only", "update-only"]),
    help="What happens to contacts or companies that exist already; default: merge.",
)
@click.option(
    "--kind",
    type=click.Choice(["contacts", "companies"]),
    default="contacts",
    help="What each row is; default: contacts.",
)
@click.option("--segment", help="Add all rows to this segment.")
@click.option("--dry-run", is_flag=True, help="Only tell what would change.")
@json_option
def import_file(file: str, website_id: str, **told: Any) -> None:
    """Contacts or companies from the CSV file FILE."""
    from app.commands import imports

    sys.exit(imports.import_file(file, website_id, **told))


@main.command()
@click.argument("import_id")
def undo(import_id: str) -> None:
    """Take back what the import IMPORT_ID wrote; what others changed since stays."""
    from app.commands import imports

    sys.exit(imports.undo(import_id))


@main.group()
def events() -> None:
    """The web hooks that arrived: list them, or have them applied again."""


def _event_options(states: tuple[str, ...]) -> Callable[[Command], Command]:
    def decorate(command: Command) -> Command:
        for option in (
            json_option,
            click.option("--until", metavar="DATE", help="Arrived until then, included."),
            click.option(
                "--since", metavar="DATE", help="Arrived since; 2026-01-31 or with T14:00."
            ),
            website_option,
            click.option("--event", metavar="NAME", help="As message:send."),
            click.option("--state", type=click.Choice(states)),
            click.option("--id", "event_id", metavar="ID", help="This one."),
        ):
            command = option(command)
        return command

    return decorate


@events.command("list")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 100_000))
@_event_options(("new", "done", "ignored", "parked", "dead"))
def list_events(event_id: str | None, limit: int, as_json: bool, **asked: Any) -> None:
    """Newest first; with --id, what may be seen of its body."""
    from app.commands import events as commands

    if event_id is not None:
        click.echo(commands.describe_one(event_id, as_json=as_json))
        return
    click.echo(commands.describe(_filter_of(**asked), limit, as_json=as_json))


@events.command("replay")
@_event_options(("dead", "parked", "ignored", "done"))
def replay_events(event_id: str | None, as_json: bool, **asked: Any) -> None:
    """Name what: --id, --state, or --since and --until."""
    from app.commands import events as commands

    click.echo(commands.replay(event_id, _filter_of(**asked), as_json=as_json))


def _filter_of(website_id: str | None, **asked: Any) -> Any:
    from app.commands import events as commands

    return commands.filter_of(website=website_id, **asked)


main.add_command(user)
main.add_command(token)
main.add_command(keys)
main.add_command(erase)
main.add_command(erasures)
main.add_command(person)


@main.command()
@click.argument("noun", type=click.Choice(("contacts", "companies", "conversations", "messages")))
@website_option
@click.option(
    "--format",
    "form",
    type=click.Choice(("csv", "jsonl", "parquet", "import")),
    required=True,
    help="parquet needs the extra of that name. import: the contacts or companies of one website, "
    "as the CSV file that makes the same ones again.",
)
@click.option("--out", metavar="FILE", help="Default: standard output.")
@click.option("--notes", is_flag=True, help="Private notes of messages, too.")
def export(noun: str, website_id: str | None, form: str, out: str | None, notes: bool) -> None:
    """Everything of one kind, as a file; cells that a spreadsheet would run are defused."""
    from app.commands import export as commands

    commands.export(noun, form, website_id, out, notes=notes)


@main.command()
@json_option
def doctor(as_json: bool) -> None:
    """What is wrong, how one knows, and what to do; asks Crisp too."""
    from app.commands import doctor as commands

    sys.exit(commands.examine_all(as_json=as_json))


@main.command()
@json_option
def status(as_json: bool) -> None:
    """Each website's last runs and counts, and the day's quota."""
    from app.commands import status as commands

    click.echo(commands.describe(as_json=as_json))


if __name__ == "__main__":
    main()
