"""The commands by name, and what they have in common: settings, and failures said in a sentence."""

import asyncio
import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Annotated, Any  # overrides are settings of any type
from uuid import UUID

import typer
import uvloop
from rich.console import Console

from frontdesk.cli import audit as audit_log
from frontdesk.cli import key as api_keys
from frontdesk.cli import signing
from frontdesk.cli import staff as people
from frontdesk.cli.apply import apply as apply_to
from frontdesk.cli.chat import chat as talk
from frontdesk.cli.contact import contact_commands
from frontdesk.cli.explain import explain as tell_why
from frontdesk.cli.export import export as write_files
from frontdesk.cli.rotate import rotate_keys as rotate_all
from frontdesk.cli.tenants import purge_disk, tenant_commands
from frontdesk.cli.train import train as learn_from
from frontdesk.core.clock import iso
from frontdesk.core.errors import FrontdeskError
from frontdesk.core.settings import Settings, load_settings, unknown_variables
from frontdesk.db import keys
from frontdesk.identity.permissions import SCOPES, Role
from frontdesk.identity.staff import STAFF_ROLES, State
from frontdesk.identity.staffing import Changes
from frontdesk.server.database import opened
from frontdesk.server.doctor import examine
from frontdesk.server.serve import serve as serve_until_stopped
from frontdesk.telemetry.logs import configure_logs

app = typer.Typer(
    name="frontdesk",
    help="One self-hosted server that runs an organisation's AI conversations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Config = Annotated[Path | None, typer.Option("--config", help="YAML file of settings")]
Data = Annotated[Path | None, typer.Option("--data", help="data directory: database, keys, models")]

Url = Annotated[str, typer.Option(envvar="FRONTDESK_URL", help="of the running server")]
Tenant = Annotated[str, typer.Option(help="slug or id")]
User = Annotated[str, typer.Option(help="who you are")]
Credential = Annotated[str, typer.Option(envvar="FRONTDESK_KEY", help="an API key, where the server asks for one")]


def say(line: str) -> None:
    """Progress goes beside the output, so that a script reads the output alone."""
    print(f"frontdesk: {line}", file=sys.stderr, flush=True)


def settings_of(config: Path | None, **overrides: Any) -> Settings:
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = load_settings(os.environ, config, given)
    configure_logs(production=settings.env == "production")
    for sentence in unknown_variables(os.environ):
        say(f"warning: {sentence}")
    if settings.kafka_servers:
        say("warning: FRONTDESK_KAFKA_SERVERS is set, but this version does not use it yet.")
    return settings


@app.command()
def serve(
    config: Config = None,
    data: Data = None,
    host: Annotated[str | None, typer.Option(help="address to listen on")] = None,
    port: Annotated[int | None, typer.Option(help="0 takes a free one")] = None,
) -> None:
    """Start the server: database, schema, example tenant, web page and API."""
    settings = settings_of(config, data=data, host=host, port=port)
    uvloop.run(serve_until_stopped(settings, say))


@app.command()
def migrate(config: Config = None, data: Data = None) -> None:
    """Bring the database's schema up to date and stop."""

    async def run() -> None:
        async with opened(settings_of(config, data=data), say):
            say("The schema is up to date.")

    asyncio.run(run())


@app.command()
def apply(
    folder: Annotated[Path, typer.Argument(help="a tenant's folder: tenant.yaml, agents, tools, documents")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change and change nothing")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="remove also what never came from files")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Bring a tenant up to its files, beside a running server or without one."""
    settings = settings_of(config, data=data)
    raise typer.Exit(asyncio.run(apply_to(settings, folder, say, Console(), dry_run=dry_run, prune=prune)))


@app.command()
def export(
    tenant: Annotated[str, typer.Argument(help="its slug or id")],
    folder: Annotated[Path, typer.Argument(help="an empty folder, or one that is not there yet")],
    with_data: Annotated[bool, typer.Option("--with-data", help="also what was said, as JSON lines")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Write a tenant's files as `apply` takes them, beside a running server or without one."""
    settings = settings_of(config, data=data)
    raise typer.Exit(asyncio.run(write_files(settings, tenant, folder, say, Console(), data=with_data)))


app.add_typer(tenant_commands(settings_of, say), name="tenant")
app.add_typer(contact_commands(settings_of, say), name="contact")


@app.command()
def purge(config: Config = None, data: Data = None) -> None:
    """Remove the bytes of what was deleted from the embedded database's disk; each table is closed for a moment."""
    raise typer.Exit(asyncio.run(purge_disk(settings_of(config, data=data), say, Console())))


@app.command()
def chat(
    url: Url = "http://127.0.0.1:8000",
    tenant: Annotated[str, typer.Option(help="the tenant to talk to")] = "clinic",
    user: User = "terminal",
    key: Credential = "",
) -> None:
    """Talk to a running server from the terminal."""
    raise typer.Exit(asyncio.run(talk(url, tenant, user, Console(), key=key)))


@app.command()
def explain(
    message_id: Annotated[UUID, typer.Argument(help="of the contact's message, or of its answer")],
    url: Url = "http://127.0.0.1:8000",
    tenant: Annotated[str, typer.Option(help="whose message it is")] = "clinic",
    as_json: Annotated[bool, typer.Option("--json", help="as the API gives it")] = False,
    right: Annotated[bool, typer.Option("--right", help="say that the right agent answered")] = False,
    wrong: Annotated[bool, typer.Option("--wrong", help="say that the wrong one did")] = False,
    agent: Annotated[str | None, typer.Option(help="with --wrong: whose matter it was")] = None,
    user: User = "terminal",
    key: Credential = "",
) -> None:
    """Tell why a message was answered as it was, and say whether that was right."""
    if right and wrong:
        raise typer.BadParameter("--right and --wrong exclude one another")
    if agent is not None and not wrong:
        raise typer.BadParameter("--agent needs --wrong")
    verdict = {"user_id": user, "verdict": "right" if right else "wrong"} if right or wrong else None
    if verdict is not None and agent is not None:
        verdict["agent"] = agent
    told = tell_why(url, tenant, message_id, Console(), key=key, as_json=as_json, verdict=verdict)
    raise typer.Exit(asyncio.run(told))


@app.command()
def train(
    folder: Annotated[Path | None, typer.Argument(help="the tenant's folder; left out: the configured one")] = None,
    tenant: Annotated[str | None, typer.Option(help="whose folder; left out: the example's")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="show what would change and change nothing")] = False,
    recent: Annotated[int, typer.Option(min=0, max=5000, help="how many of the last messages to route again")] = 200,
    config: Config = None,
    data: Data = None,
) -> None:
    """Turn what people said of decisions into examples in the agents' files, and show what that changes."""
    settings = settings_of(config, data=data)
    done = learn_from(settings, folder, tenant, say, Console(), recent=recent, dry_run=dry_run)
    raise typer.Exit(asyncio.run(done))


@app.command()
def doctor(config: Config = None, data: Data = None) -> None:
    """Look whether everything that the server needs is there, and say what is not."""
    findings = asyncio.run(examine(settings_of(config, data=data)))
    for finding in findings:
        print(f"{'ok  ' if finding.is_fine else 'FAIL'} {finding.what}: {finding.detail}")
    if not all(finding.is_fine for finding in findings):
        raise typer.Exit(1)


@app.command()
def rotate_keys(config: Config = None, data: Data = None) -> None:
    """Seal everything anew with a new key, beside running servers; after it the old key may go. Safe to run again."""
    asyncio.run(rotate_all(settings_of(config, data=data), say, Console()))


@app.command()
def forget_key(
    key_id: Annotated[str, typer.Argument(help="of a key that is lost for good, as the refused start names it")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Let servers start without a key again; what it sealed stays, and stays closed until the key is back."""

    try:
        wanted = bytes.fromhex(key_id)
    except ValueError as error:
        raise typer.BadParameter("eight hexadecimal digits name a key") from error

    async def run() -> bool:
        async with opened(settings_of(config, data=data), say, alone=False) as open_database:
            return await keys.forget(open_database.database, wanted)

    if not asyncio.run(run()):
        say(f"error: no text is known to be sealed with a key {key_id}.")
        raise typer.Exit(1)
    say(f"Servers start without the key {key_id} now.")


audit = typer.Typer(name="audit", help="Check and export the audit log.", no_args_is_help=True)
app.add_typer(audit)


@audit.command("verify")
def verify_audit(
    file: Annotated[Path | None, typer.Argument(help="an export to check instead of the database")] = None,
    tenant: Annotated[str | None, typer.Option(help="slug or id; with a file: whether its log still holds it")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Walk along the chain of hashes and name the first entry that is not what was appended (exit code 1)."""
    settings = settings_of(config, data=data)
    console = Console(soft_wrap=True)
    if file is None:
        raise typer.Exit(asyncio.run(audit_log.verify(settings, tenant, say, console)))
    raise typer.Exit(asyncio.run(audit_log.verify_file(settings, file, tenant, say, console)))


@audit.command("export")
def export_audit(
    tenant: Annotated[str, typer.Argument(help="slug or id; the deployment's own log has the nil UUID")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Write a tenant's audit log as JSON lines, oldest first, to be checked anywhere."""
    asyncio.run(audit_log.export(settings_of(config, data=data), tenant, say))


@app.command()
def rotate_signing_key(
    at_once: Annotated[bool, typer.Option("--at-once", help="the old ones are void: everybody signs in anew")] = False,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make a new key for tokens: published now, signing ten minutes later, while old tokens stay good."""
    moment = asyncio.run(signing.rotate(settings_of(config, data=data), say, at_once=at_once))
    say(f"The new key signs from {iso(moment)}.")


key = typer.Typer(name="key", help="Make, list and revoke API keys.", no_args_is_help=True)
app.add_typer(key)


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="what it is for")],
    scope: Annotated[list[str], typer.Option(help="what it may; once for each: " + ", ".join(sorted(SCOPES)))],
    tenant: Tenant = "clinic",
    days: Annotated[float | None, typer.Option(min=0, help="good for so long; left out: until it is revoked")] = None,
    config: Config = None,
    data: Data = None,
) -> None:
    """Make an API key and print it, this once."""
    print(asyncio.run(api_keys.create(settings_of(config, data=data), tenant, name, scope, days, say)))


@key.command("list")
def list_keys(tenant: Tenant = "clinic", config: Config = None, data: Data = None) -> None:
    """Show a tenant's API keys, the newest first."""
    asyncio.run(api_keys.show(settings_of(config, data=data), tenant, say, Console()))


@key.command("revoke")
def revoke_key(
    named: Annotated[str, typer.Argument(metavar="KEY", help="its id, or how it begins: fd_…")],
    tenant: Tenant = "clinic",
    config: Config = None,
    data: Data = None,
) -> None:
    """Revoke an API key: servers refuse it within two seconds."""
    asyncio.run(api_keys.revoke(settings_of(config, data=data), tenant, named, say))
    say("The key is revoked.")


staff = typer.Typer(name="staff", help="The people who sign in: invite, list, change.", no_args_is_help=True)
app.add_typer(staff)

Email = Annotated[str, typer.Argument(help="of the person")]


@staff.command("link")
def link_owner(
    operator: Annotated[bool, typer.Option("--operator", help="who manages the deployment's tenants too")] = False,
    tenant: Tenant = "clinic",
    config: Config = None,
    data: Data = None,
) -> None:
    """Print a one-time link by which a tenant's first owner begins; earlier ones end."""
    print(asyncio.run(people.owner_link(settings_of(config, data=data), tenant, say, is_operator=operator)))


@staff.command("invite")
def invite_staff(
    email: Email,
    role: Annotated[Role, typer.Option(help="owner, admin, supporter or viewer")] = Role.SUPPORTER,
    name: Annotated[str | None, typer.Option(help="left out: the first part of the address")] = None,
    tenant: Tenant = "clinic",
    config: Config = None,
    data: Data = None,
) -> None:
    """Invite somebody and print the link to pass on; good once, for seven days."""
    if role not in STAFF_ROLES:
        raise typer.BadParameter(f"one of {', '.join(STAFF_ROLES)}")
    print(asyncio.run(people.invite(settings_of(config, data=data), tenant, email, name, role, say)))


@staff.command("list")
def list_staff(tenant: Tenant = "clinic", config: Config = None, data: Data = None) -> None:
    """Show a tenant's staff."""
    asyncio.run(people.show(settings_of(config, data=data), tenant, say, Console()))


@staff.command("reset-link")
def reset_link(email: Email, tenant: Tenant = "clinic", config: Config = None, data: Data = None) -> None:
    """Print a link to choose a new password (or to accept the invitation); lifts a lock."""
    print(asyncio.run(people.reset_link(settings_of(config, data=data), tenant, email, say)))


@staff.command("disable")
def disable_staff(email: Email, tenant: Tenant = "clinic", config: Config = None, data: Data = None) -> None:
    """Keep somebody out, and sign him out everywhere."""
    changes = Changes(state=State.DISABLED)
    asyncio.run(people.change(settings_of(config, data=data), tenant, email, changes, say))
    say(f"{email} is disabled. To undo it: frontdesk staff enable {email}")


@staff.command("enable")
def enable_staff(email: Email, tenant: Tenant = "clinic", config: Config = None, data: Data = None) -> None:
    """Let somebody in again who was disabled."""
    changes = Changes(state=State.ACTIVE)
    asyncio.run(people.change(settings_of(config, data=data), tenant, email, changes, say))
    say(f"{email} is enabled.")


@staff.command("role")
def change_role(
    email: Email,
    role: Annotated[Role, typer.Argument(help="owner, admin, supporter or viewer")],
    operator: Annotated[
        bool | None, typer.Option("--operator/--no-operator", help="whether he manages the deployment's tenants too")
    ] = None,
    tenant: Tenant = "clinic",
    config: Config = None,
    data: Data = None,
) -> None:
    """Give somebody another role."""
    if role not in STAFF_ROLES:
        raise typer.BadParameter(f"one of {', '.join(STAFF_ROLES)}")
    changes = Changes(role=role, is_operator=operator)
    asyncio.run(people.change(settings_of(config, data=data), tenant, email, changes, say))
    say(f"{email} is {role} now.")


@app.command()
def version() -> None:
    """The version of this program."""
    print(version_of("frontdesk"))


def main() -> None:
    """A foreseen failure is one sentence and exit code 1, never a stack trace."""
    try:
        app()
    except FrontdeskError as error:
        say(f"error: {error.detail}")
        sys.exit(1)
