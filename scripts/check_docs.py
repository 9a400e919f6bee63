"""Whether the documents are true: what they name must exist, and what clients and operators meet must be listed.

Checked in every page: links, files, `Class.member`, `module.function` and `function()` in backticks, the commands
`frontdesk …` and `make …`, and variables FRONTDESK_…. Checked in docs/reference.md: every error code, topic, type of
event, metric with its labels, and route.
"""

import ast
import asyncio
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from unittest.mock import MagicMock

import httpx
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase
from pydantic import BaseModel
from typer.main import get_command

from frontdesk.channels.access import Access
from frontdesk.channels.addresses import Clients
from frontdesk.cli.app import app as commands
from frontdesk.core.clock import SystemClock
from frontdesk.core.settings import Settings, unknown_variables
from frontdesk.events.models import TOPICS
from frontdesk.identity.metrics import IdentityMetrics
from frontdesk.llm.metrics import LLMMetrics
from frontdesk.server.app import build_app
from frontdesk.server.errors import ErrorRenderer
from frontdesk.server.health import Health
from frontdesk.server.routes import routers
from frontdesk.telemetry.metrics import Metrics
from frontdesk.tools.metrics import ToolMetrics

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "frontdesk"
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
REFERENCE = ROOT / "docs" / "reference.md"
# Where a page's path may begin: the repository, the code's house, the pages' files, the example tenant.
PLACES = (ROOT, SOURCE, SOURCE / "console" / "static", ROOT / "examples" / "clinic", ROOT / "docs")

_TICKED = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*\.(?:py|sql|toml|yaml|md|txt|html|js|css|svg|png|json)|(?:[\w.-]+/)+")
_MEMBER = re.compile(r"_?[A-Z]\w*(?:\.[a-z_]\w*)+")
_DOTTED = re.compile(r"[a-z_]\w*(?:\.\w+)+")
_CALL = re.compile(r"([a-z_]\w*)\(.*\)")
_COMMAND = re.compile(r"\b(frontdesk|make) ([a-z][a-z-]*)")
_VARIABLE = re.compile(r"\bFRONTDESK_[A-Z_]+[A-Z]\b")
_FENCE = re.compile(r"^```.*?^```|^ {4}.*?$", re.MULTILINE | re.DOTALL)
_SQL_FUNCTION = re.compile(r"CREATE OR REPLACE FUNCTION (\w+)")
_TARGET = re.compile(r"^([a-z-]+)%?:", re.MULTILINE)
_ERROR_CODE = re.compile(r"[A-Z][A-Z_]{3,}")


class Code:
    """What there is to name, read off the source without running it."""

    def __init__(self) -> None:
        self.functions: set[str] = set()
        self.members: dict[str, set[str]] = {}
        self.modules: dict[str, set[str]] = {}  # by file name without suffix, and by capability
        self.error_codes: set[str] = set()
        self.logged: set[str] = set()  # names of log lines
        for path in [*SOURCE.rglob("*.py"), *(ROOT / "examples").rglob("*.py")]:
            self._read(path)
        for path in SOURCE.rglob("*.sql"):
            self.functions.update(_SQL_FUNCTION.findall(path.read_text()))

    def _read(self, path: Path) -> None:
        tree = ast.parse(path.read_text())
        names = self.modules.setdefault(path.parent.name if path.stem == "__init__" else path.stem, set())
        self.modules.setdefault(path.parent.name, set()).add(path.stem)
        for node in tree.body:
            names.update(_names(node))
        for part in ast.walk(tree):
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                self.functions.add(part.name)
            elif isinstance(part, ast.ClassDef):
                members = self.members.setdefault(part.name, set())
                for each in part.body:
                    members.update(_names(each))
            self.error_codes.update(_codes(part))
            match part:
                case ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[ast.Constant(value=str(name)), *_]):
                    self.logged.add(name)

    def has_member(self, dotted: str) -> bool:
        owner, member = dotted.split(".")[:2]
        return member in self.members.get(owner, ())

    def has_dotted(self, dotted: str) -> bool | None:
        """None when it does not begin with a module or a capability: then it is no name of ours."""
        parts = dotted.removeprefix("frontdesk.").split(".")
        if parts[0] not in self.modules:
            return None
        return parts[-1] in self.modules.get(parts[-2], ()) if len(parts) > 1 else True


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            yield node.name
        case ast.Assign():
            for target in node.targets:
                yield from (each.id for each in ast.walk(target) if isinstance(each, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name)):
            yield name


def _codes(node: ast.AST) -> Iterator[str]:
    """`error_code = "X"`, `status, error_code = 404, "X"`, `Failure("X", …)`, `failed(turn, "X")`."""
    match node:
        case ast.Assign(targets=[target], value=value) if "error_code" in {*_names(node)} or (
            isinstance(target, ast.Attribute) and target.attr == "error_code"
        ):
            texts = [each.value for each in ast.walk(value) if isinstance(each, ast.Constant)]
        case ast.Call(func=ast.Name(id="Failure") | ast.Attribute(attr="failed"), args=arguments):
            texts = [each.value for part in arguments for each in ast.walk(part) if isinstance(each, ast.Constant)]
        case _:
            return
    yield from (text for text in texts if isinstance(text, str) and _ERROR_CODE.fullmatch(text))


def problems_of(path: Path, code: Code) -> Iterator[str]:
    text = path.read_text()
    for link in _LINK.findall(text):
        if "://" not in link and not link.startswith("mailto:") and not (path.parent / link).exists():
            yield f"the link {link} leads nowhere"
    for program, command in _COMMAND.findall("\n".join([*_TICKED.findall(text), *_FENCE.findall(text)])):
        if not _is_command(program, command):
            yield f"there is no command `{program} {command}`"
    for variable in sorted(set(_VARIABLE.findall(text))):
        if unknown_variables({variable: ""}) or not _is_nested(variable):
            yield f"there is no setting {variable}"
    for ticked in _TICKED.findall(_FENCE.sub("", text)):
        if (problem := _problem(ticked.strip(), code)) is not None:
            yield problem


def _is_command(program: str, command: str) -> bool:
    if program == "frontdesk":
        return command in getattr(get_command(commands), "commands", ())
    targets = _TARGET.findall((ROOT / "Makefile").read_text())  # `bench-%` is found as `bench-`
    return any(command == target or (target.endswith("-") and command.startswith(target)) for target in targets)


def _is_nested(variable: str) -> bool:
    """Whether the second part of FRONTDESK_GROUP__NAME is a setting of the group, where it has one."""
    group, _, name = variable.removeprefix("FRONTDESK_").lower().partition("__")
    settings = _groups().get(group)
    return not name or settings is None or name in settings.model_fields


def _groups() -> dict[str, type[BaseModel]]:
    kinds = {name: field.annotation for name, field in Settings.model_fields.items()}
    return {name: kind for name, kind in kinds.items() if isinstance(kind, type) and issubclass(kind, BaseModel)}


def _problem(ticked: str, code: Code) -> str | None:
    if _PATH.fullmatch(ticked):
        is_room = "/" not in ticked and any(SOURCE.rglob(ticked))  # `store.py`, of any capability
        if not is_room and "NAME" not in ticked and not any((place / ticked).exists() for place in PLACES):
            return f"there is no file `{ticked}`"
    elif _MEMBER.fullmatch(ticked):
        if not code.has_member(ticked):
            return f"there is no `{ticked}`"
    elif _DOTTED.fullmatch(ticked):
        if ticked not in code.logged | _told() and code.has_dotted(ticked) is False:
            return f"there is no `{ticked}`"
    elif (call := _CALL.fullmatch(ticked)) and call[1] not in code.functions:
        return f"there is no function `{call[1]}`"
    return None


def _told() -> set[str]:
    """Dotted names that are no code: topics, types of event, settings."""
    settings = {f"{group}.{name}" for group, kind in _groups().items() for name in kind.model_fields}
    return {*TOPICS, *(type_ for types in TOPICS.values() for type_ in types), *settings}


def missing_in_reference(code: Code) -> Iterator[str]:
    text = REFERENCE.read_text()
    rows = [line for line in text.splitlines() if line.startswith("|")]

    def is_listed(*names: str) -> bool:
        return any(all(f"`{name}`" in row for name in names) for row in rows)

    for error_code in sorted(code.error_codes):
        if not is_listed(error_code):
            yield f"error code `{error_code}`"
    for topic, types in TOPICS.items():
        yield from (f"event `{type_}` of topic `{topic}`" for type_ in types if not is_listed(topic, type_))
    registry = CollectorRegistry()
    for made in (Metrics(registry), LLMMetrics(registry), ToolMetrics(registry), IdentityMetrics(registry)):
        for metric in vars(made).values():
            if isinstance(metric, MetricWrapperBase):
                [family] = metric.describe()
                name = f"{family.name}_total" if family.type == "counter" else family.name
                labels = metric._labelnames  # the library has no public way to ask
                if not is_listed(name, *labels):
                    yield f"metric `{name}`, labels {', '.join(labels) or 'none'},"
    for path, operations in asyncio.run(_paths()).items():
        yield from (
            f"route `{method.upper()} {path}`" for method in operations if not is_listed(f"{method.upper()} {path}")
        )


async def _paths() -> dict[str, dict[str, Any]]:
    """The routes as OpenAPI tells them. Nothing is called, so nothing stands behind them."""
    nothing = MagicMock()
    errors, access = ErrorRenderer(SystemClock(), hide_details=False), Access(nothing, nothing, nothing, is_open=False)
    every, metrics = routers(nothing, nothing, access, errors), Metrics(CollectorRegistry())
    app = build_app(every, access, errors, metrics, Health({}, {}), nothing, (), nothing, (), Clients(()), (), nothing)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(cast(Any, app)), base_url="http://localhost") as client:
        paths: dict[str, dict[str, Any]] = (await client.get("/openapi.json")).json()["paths"]
    return paths


def main() -> int:
    code = Code()
    found = [f"{path.relative_to(ROOT)}: {problem}" for path in PAGES for problem in problems_of(path, code)]
    found += [f"{REFERENCE.relative_to(ROOT)}: {missing} is not listed" for missing in missing_in_reference(code)]
    sys.stdout.write("".join(f"{line}\n" for line in dict.fromkeys(found)))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
