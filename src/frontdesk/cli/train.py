"""`frontdesk train [DIR]`: what people said of decisions becomes examples in the agents' files, as a diff to review."""

import difflib
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from frontdesk.apply.example_files import replace_file, with_examples
from frontdesk.apply.files import PROVIDERS, Folder, definitions_of, read_folder
from frontdesk.apply.training import LeftOut, Lesson, Moved, Proposal, Share, Trainer
from frontdesk.cli.apply import progress_bars, show_problems
from frontdesk.cli.replies import printable
from frontdesk.core.errors import DefinitionError, SettingsError
from frontdesk.core.settings import Settings
from frontdesk.server.database import Say
from frontdesk.server.folders import tenant_folders
from frontdesk.server.services import built
from frontdesk.tenants.store import tenant_named

MOST_SHOWN = 20

Diff = tuple[Path, str, str]  # a file, its text, and what it becomes


async def train(
    settings: Settings,
    folder: Path | None,
    tenant: str | None,
    say: Say,
    console: Console,
    *,
    recent: int,
    dry_run: bool = False,
) -> int:
    """The exit code. Beside a running server or without one; what is written is in use after `frontdesk apply`."""
    place = folder or _folder_of(settings, tenant)
    try:
        files = read_folder(place, PROVIDERS | set(settings.providers))
        if tenant is not None and tenant != files.slug:
            raise SettingsError(f"{place} holds the tenant {files.slug}, not {tenant}.")
        lesson = await _lesson(settings, files, say, console, recent)
        diffs = [_diff(place, agent, lesson.proposals) for agent in files.agents if _of(agent, lesson.proposals)]
    except DefinitionError as error:
        if not error.errors:
            raise
        show_problems(console, error)
        return 1
    show(lesson, diffs, console)
    if dry_run or not diffs:
        _end(console, lesson, "This was a dry run: no file was changed." if diffs else "No file was changed.")
        return 0
    for path, _, text in diffs:
        try:
            replace_file(path, text)
        except OSError as error:
            raise SettingsError(f"{path} can't be written: {error.strerror}.") from error
    _end(console, lesson, f"Read the changes, then put them to use: frontdesk apply {place}")
    return 0


def _folder_of(settings: Settings, tenant: str | None) -> Path:
    folders = tenant_folders(settings)
    wanted = tenant or settings.example
    if wanted not in folders:
        known = ", ".join(folders) or "none"
        raise SettingsError(f"The folder of the tenant {wanted!r} is not known; name it. Known tenants: {known}.")
    return folders[wanted]


async def _lesson(settings: Settings, files: Folder, say: Say, console: Console, recent: int) -> Lesson:
    async with built(settings, say, alone=False) as services:
        found = await tenant_named(services.database, files.slug)
        if found is None:
            raise SettingsError(f"The tenant {files.slug} is not in the database: apply its files first.")
        definitions = definitions_of(files, found.id, found.version)
        now = datetime.now(ZoneInfo(files.settings.time_zone))
        with progress_bars(console) as on_progress:
            trainer = Trainer(services.decisions, services.embedder, services.supervisor.language, now, on_progress)
            return await trainer.learn(definitions, recent)


def _of(agent: str, proposals: Iterable[Proposal]) -> list[str]:
    return [each.text for each in proposals if each.agent == agent]


def _diff(place: Path, agent: str, proposals: Iterable[Proposal]) -> Diff:
    path = place / "agents" / f"{agent}.yaml"
    text = path.read_bytes().decode("utf-8-sig")
    note = f"learnt from feedback, {datetime.now(UTC):%Y-%m-%d}"
    return path, text, with_examples(text, str(path), _of(agent, proposals), note)


def show(lesson: Lesson, diffs: list[Diff], console: Console) -> None:
    for path, before, after in diffs:
        _show_diff(path, before, after, console)
    if lesson.proposals:
        console.print(_proposals(lesson.proposals), highlight=False)
    if lesson.left_out:
        console.print(_left_out(lesson.left_out), highlight=False)
    console.print(_accuracy(lesson), highlight=False)
    if lesson.doubtful:
        table = _titled("Examples that look like another agent's; are they where they belong?")
        for each in lesson.doubtful:
            table.add_row("?", each.agent, f"taken for {each.taken_for}", _short(each.text))
        console.print(table, highlight=False)
    if lesson.proposals:
        console.print(_moved(lesson), highlight=False)


def _show_diff(path: Path, before: str, after: str, console: Console) -> None:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), str(path), str(path), lineterm="", n=1)
    for line in lines:
        console.print(Text(printable(line), style=colours.get(line[:1], "")), highlight=False, soft_wrap=True)


def _proposals(proposals: tuple[Proposal, ...]) -> Table:
    table = _titled(f"To be added: {len(proposals)}")
    for each in proposals:
        was = ", ".join(each.was) or "nobody"
        why = f"{each.because}, {was} answered" if each.was != (each.agent,) else str(each.because)
        table.add_row("+", each.agent, why, _short(each.text))
    return table


def _left_out(left_out: tuple[LeftOut, ...]) -> Table:
    table = _titled(f"Judged and left out: {len(left_out)}")
    for each in left_out[:MOST_SHOWN]:
        table.add_row("-", "", escape(each.reason), _short(each.text))
    return _and_more(table, len(left_out))


def _accuracy(lesson: Lesson) -> Table:
    table = _titled("Right agent, by classifiers that have not seen the text")
    for what, share in (("the agents' examples", lesson.examples), ("judged messages", lesson.messages)):
        if share.count:
            table.add_row("", what, _share(share), "")
    return table


def _share(share: Share) -> str:
    before = f"{share.before} of {share.count} ({100 * share.before / share.count:.1f} %)"
    if share.before == share.after:
        return before
    return f"{before} before, {share.after} ({100 * share.after / share.count:.1f} %) after"


def _moved(lesson: Lesson) -> Table:
    table = _titled(
        f"{len(lesson.moved)} of the last {lesson.replayed} messages would be routed otherwise, no model asked"
    )
    for each in lesson.moved[:MOST_SHOWN]:
        table.add_row("~", _agents(each.after), _before(each), _short(each.text))
    return _and_more(table, len(lesson.moved))


def _before(each: Moved) -> str:
    was = f"not {_agents(each.before)}"
    return was if each.was == each.before else f"{was}; {_agents(each.was)} answered, by {each.stage}"


def _agents(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "nobody"


def _and_more(table: Table, count: int) -> Table:
    if count > MOST_SHOWN:
        table.add_row("", "", f"and {count - MOST_SHOWN} more", "")
    return table


def _titled(title: str) -> Table:
    table = Table(title=f"\n{escape(title)}", title_justify="left", box=None, show_header=False, padding=(0, 1))
    for style in ("dim", "bold", "dim", ""):
        table.add_column(style=style, overflow="fold")
    return table


def _end(console: Console, lesson: Lesson, sentence: str) -> None:
    counts = f"{_counted(lesson.judged, 'judged message')}, {_counted(len(lesson.proposals), 'new example')}."
    console.print(f"\n[green]{counts}[/] {escape(sentence)}", highlight=False)


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _short(text: str) -> Text:
    line = printable(text)
    return Text(line if len(line) <= 160 else f"{line[:159]}…")
