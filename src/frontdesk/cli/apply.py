"""`frontdesk apply DIR`: what differs between a tenant's files and the database is shown, and made the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from frontdesk.apply import Change, Report, apply_folder, read_folder
from frontdesk.apply.files import PROVIDERS
from frontdesk.apply.plan import Action, FieldChange, OnProgress
from frontdesk.apply.plan import Progress as Step
from frontdesk.core.errors import DefinitionError
from frontdesk.core.settings import Settings
from frontdesk.server.applying import apply_services
from frontdesk.server.database import Say
from frontdesk.server.services import built

_MARKS = {Action.ADDED: ("+", "green"), Action.CHANGED: ("~", "yellow"), Action.REMOVED: ("-", "red")}
_STAGES = {
    "definitions": "Definitions",
    "documents": "Documents",
    "classifier": "Classifier",
    "embedded": "Reading",
    "measured": "Measuring",
    "fitted": "Fitting",
    "replayed": "Routing",
}


async def apply(
    settings: Settings, folder: Path, say: Say, console: Console, *, dry_run: bool = False, prune: bool = False
) -> int:
    """The exit code: 0 done or nothing to do, 1 the files have mistakes or a document was refused.

    Works beside a running server, whose next turns then use the new definitions.
    """
    try:
        # Before the database is opened: a mistake in a file is told in no time.
        read_folder(folder, PROVIDERS | set(settings.providers))
        async with built(settings, say, alone=False) as services:
            with progress_bars(console) as on_progress:
                report = await apply_folder(folder, apply_services(services), on_progress, dry_run=dry_run, prune=prune)
    except DefinitionError as error:
        show_problems(console, error)
        return 1
    show_report(console, report)
    return 1 if report.documents is not None and report.documents.refused else 0


def show_problems(console: Console, error: DefinitionError) -> None:
    """One line each, `file:line: what`, as editors and terminals make them clickable."""
    problems = error.errors
    for problem in problems:
        console.print(f"[bold]{escape(problem.field)}[/]: {escape(problem.message)}", soft_wrap=True, highlight=False)
    count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
    console.print(f"[red]{count} found; nothing was changed.[/]")


def show_report(console: Console, report: Report) -> None:
    for change in (*report.plan.definitions, *report.plan.documents):
        _show_change(console, change)
    for change in report.plan.kept:
        name = f"{change.kind} [bold]{escape(change.name)}[/]"
        console.print(f"[dim]=[/] {name} came from no file and stays; --prune removes it", highlight=False)
    refused = report.documents.refused if report.documents else ()
    for refusal in refused:
        console.print(f"[red]![/] document {escape(refusal.name)}: {escape(refusal.reason)}", highlight=False)
    console.print(_summary(report), highlight=False)


def _show_change(console: Console, change: Change) -> None:
    mark, colour = _MARKS[change.action]
    console.print(f"[{colour}]{mark}[/] {change.kind} [bold]{escape(change.name)}[/]", highlight=False)
    if change.fields:
        console.print(_fields(change.fields))


def _fields(fields: tuple[FieldChange, ...]) -> Table:
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=3)
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for each in fields:
        if each.before is not None:
            table.add_row("", escape(each.field), f"[red]- {escape(each.before)}[/]")
        if each.after is not None:
            table.add_row("", escape(each.field), f"[green]+ {escape(each.after)}[/]")
    return table


def _summary(report: Report) -> str:
    name, plan = escape(report.slug), report.plan
    if plan.is_empty and not report.fitted:
        return f"[green]{name}: nothing to do.[/]"
    count = len(plan.definitions) + len(plan.documents)
    changes = f"{count} change{'' if count == 1 else 's'}"
    if report.dry_run:
        return f"[yellow]{name}: {changes} to make. This was a dry run: nothing was changed.[/]"
    passages = f", {report.documents.passages} passages read" if report.documents else ""
    fitted = ", classifier fitted" if report.fitted else ""
    return f"[green]{name}: {changes} made in {report.duration_s:.1f} s{passages}{fitted}; version {report.version}.[/]"


@contextmanager
def progress_bars(console: Console) -> Iterator[OnProgress]:
    """A bar for each stage that has work. Only on a terminal: a log file gets none."""
    what = TextColumn("{task.fields[what]}", style="dim", markup=False)
    columns = (TextColumn("{task.description:<12}"), BarColumn(), MofNCompleteColumn(), what)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        tasks = {}

        def on_progress(step: Step) -> None:
            if step.stage not in tasks:
                tasks[step.stage] = progress.add_task(_STAGES[step.stage], total=step.total, what="")
            progress.update(tasks[step.stage], completed=step.done, total=step.total, what=step.name[:40])

        yield on_progress
