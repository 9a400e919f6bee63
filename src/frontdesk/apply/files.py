"""A tenant's folder, read and checked as a whole: every problem is told, with file and line, or none is left.

tenant.yaml  llm.yaml  agents/*.yaml  tools/*.yaml  tools/*.py  prompts/*.md  documents/**
"""

import ipaddress
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar  # parsed YAML is untyped
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec

from frontdesk.agents.models import (
    Agent,
    Alias,
    Definitions,
    Prompt,
    Target,
    Tenant,
    TenantSettings,
)
from frontdesk.apply.checked import check
from frontdesk.apply.forms import AgentForm, AliasForm, Form, LLMForm, TenantForm, ToolForm
from frontdesk.apply.located import Located, Path_
from frontdesk.apply.problems import Problems, did_you_mean
from frontdesk.apply.sources import Files, FolderFiles
from frontdesk.apply.template_files import TemplateFiles
from frontdesk.apply.tool_files import ToolReader
from frontdesk.core.expressions import BadExpression, compiled
from frontdesk.knowledge.models import Source
from frontdesk.tools.types import ToolDefinition

LOCAL = "local"  # the one that has no key
PROVIDERS = frozenset({"openai", "anthropic", "gemini", LOCAL})

_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
# A tool that providers may call without a definition (see `agents/`).
_RESERVED = {"abandon_pending"}

F = TypeVar("F", bound=Form)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """The environment variable that holds a secret, and where the file says so."""

    variable: str
    place: str  # file:line


@dataclass(frozen=True, slots=True)
class Folder:
    """All that a tenant's files say."""

    slug: str
    name: str
    settings: TenantSettings
    agents: dict[str, Agent]
    tools: dict[str, ToolDefinition]
    prompts: dict[str, str]
    aliases: dict[str, Alias]
    secrets: dict[str, SecretSource]
    documents: tuple[Source, ...]
    others: dict[str, bytes] | None  # files beside these, to be given back by an export; None: nothing is said of them


def definitions_of(folder: Folder, tenant_id: UUID, version: int) -> Definitions:
    """The folder as a turn would see it."""
    return Definitions(
        tenant=Tenant(tenant_id, folder.slug, folder.name, version, folder.settings),
        agents=folder.agents,
        tools=folder.tools,
        prompts={name: Prompt(name, version, template) for name, template in folder.prompts.items()},
        aliases=folder.aliases,
    )


def read_folder(folder: Path, providers: frozenset[str] = PROVIDERS) -> Folder:
    """Reads no more than the folder. Raises DefinitionError with every problem found."""
    problems = Problems()
    if not folder.is_dir():
        problems.add(str(folder), 1, "is not a folder; accepted is a folder with a `tenant.yaml`")
        problems.raise_if_any()
    return read_files(FolderFiles(folder, problems), providers, problems)


def read_files(files: Files, providers: frozenset[str], problems: Problems) -> Folder:
    """The same from wherever the files come."""
    found = _Reader(files, providers, problems).read()
    problems.raise_if_any()
    assert found is not None
    return found


class _Reader:
    def __init__(self, files: Files, providers: frozenset[str], problems: Problems) -> None:
        self._files = files
        self._providers = providers
        self._problems = problems
        self._templates = TemplateFiles(problems)

    def read(self) -> Folder | None:
        self._files.check_entries()
        tenant = self._form("tenant.yaml", TenantForm)
        llm = self._form("llm.yaml", LLMForm)
        agents = self._forms("agents", AgentForm)
        tools = self._forms("tools", ToolForm)
        prompts = self._prompts()
        documents = self._files.documents()
        # References are looked up among the files, so that a file's own mistake is not told twice.
        self._check_agents(agents, llm)
        secrets = self._secrets(*tenant) if tenant else None
        reader = ToolReader(self._files.code, secrets, self._templates, self._problems)
        defined = {name: reader.tool(name, form, at) for name, (form, at) in tools.items()}
        settings = self._settings(*tenant) if tenant else None
        aliases = self._aliases(*llm, secrets) if llm else None
        if tenant is None or settings is None or secrets is None or aliases is None:
            return None
        found = Folder(
            slug=tenant[0].slug,
            name=tenant[0].name,
            settings=settings,
            agents={name: _agent(name, form) for name, (form, _) in agents.items()},
            tools={name: tool for name, tool in defined.items() if tool is not None},
            prompts=prompts,
            aliases=aliases,
            secrets=secrets,
            documents=documents,
            others=self._files.others(),
        )
        files = {name: self._files.shown(f"prompts/{name}.md") for name in prompts}
        self._templates.check_prompts(definitions_of(found, UUID(int=0), 0), files)
        return found

    # Files

    def _form(self, name: str, form: type[F]) -> tuple[F, Located] | None:
        located = self._files.yaml(name)
        if located is None:
            return None
        filled = check(located, form, self._problems)
        return (filled, located) if filled is not None else None

    def _forms(self, folder: str, form: type[F]) -> dict[str, tuple[F, Located]]:
        """Those that could be filled in, by name."""
        filled = {name: self._form(f"{folder}/{name}.yaml", form) for name in self._names(folder)}
        return {name: found for name, found in filled.items() if found is not None}

    def _names(self, folder: str) -> list[str]:
        suffixes = (".yaml", ".py") if folder == "tools" else (".yaml",)
        files = map(PurePosixPath, self._files.names(folder, suffixes))
        return [file.stem for file in files if file.suffix == ".yaml" and self._is_named(file)]

    def _is_named(self, file: PurePosixPath) -> bool:
        shown = self._files.shown(str(file))
        if not _NAME.fullmatch(file.stem):
            accepted = "lower-case letters, digits and `_`, beginning with a letter, at most 60"
            self._problems.add(shown, 1, f"is named `{file.stem}`; accepted: {accepted}")
            return False
        if file.parent.name == "tools" and file.stem in _RESERVED:
            self._problems.add(shown, 1, f"`{file.stem}` is a name that frontdesk keeps for itself")
            return False
        return True

    def _prompt_names(self) -> list[str]:
        return [PurePosixPath(name).stem for name in self._files.names("prompts", (".md",))]

    def _prompts(self) -> dict[str, str]:
        prompts = {}
        for name in self._files.names("prompts", (".md",)):
            file = PurePosixPath(name)
            text = self._files.text(name) if self._is_named(file) else None
            if text is not None and self._templates.check(self._files.shown(name), text):
                prompts[file.stem] = text
        return prompts

    # Checks that a form can't make

    def _check_known(self, at: Located, path: Path_, what: str, name: str, known: Iterable[str]) -> None:
        if name not in known:
            self._problems.add(at.file, at.line(path), f"unknown {what} `{name}`; {did_you_mean(name, known)}")

    def _secrets(self, form: TenantForm, at: Located) -> dict[str, SecretSource]:
        return {
            name: SecretSource(secret.env, f"{at.file}:{at.line(('secrets', name))}")
            for name, secret in form.secrets.items()
        }

    def _settings(self, form: TenantForm, at: Located) -> TenantSettings:
        try:
            ZoneInfo(form.time_zone)
        except (KeyError, ValueError, OSError):
            sentence = f"unknown time zone `{form.time_zone}`; accepted: an IANA name such as `Europe/Dublin` or `UTC`"
            self._problems.add(at.file, at.line(("time_zone",)), sentence)
        if "en" not in form.emergency.texts:
            sentence = "`emergency.texts` needs `en`: it is read by everyone whose language has no text of its own"
            self._problems.add(at.file, at.line(("emergency", "texts")), sentence)
        self._check_known(at, ("default_agent",), "agent", form.default_agent, self._names("agents"))
        for place, language in enumerate(form.languages):
            if language in form.languages[:place]:
                self._problems.add(at.file, at.line(("languages", place)), f"names `{language}` a second time")
        for place, address in enumerate(form.http_allow):
            if not _is_address(address):
                sentence = f"`{address}` is no address; accepted: `10.1.0.0/16`, `10.1.2.3` or `host:port`"
                self._problems.add(at.file, at.line(("http_allow", place)), sentence)
        for place, network in enumerate(form.admin_addresses):
            if not _is_network(network):
                sentence = f"`{network}` is no address; accepted: `203.0.113.0/24`, `203.0.113.7` or `2001:db8::/32`"
                self._problems.add(at.file, at.line(("admin_addresses", place)), sentence)
        if form.chunk_overlap >= form.chunk_tokens:
            sentence = f"`chunk_overlap` is {form.chunk_overlap}; accepted: below `chunk_tokens`, {form.chunk_tokens}"
            self._problems.add(at.file, at.line(("chunk_overlap",)), sentence)
        self._check_permitted(form, at)
        # The form mirrors the settings, name by name.
        return msgspec.convert(form.model_dump(exclude={"slug", "name", "secrets"}), TenantSettings)

    def _check_permitted(self, form: TenantForm, at: Located) -> None:
        agents, tools = form.permitted.agents, form.permitted.tools
        for place, name in enumerate(agents or ()):
            self._check_known(at, ("permitted", "agents", place), "agent", name, self._names("agents"))
        for place, name in enumerate(tools or ()):
            self._check_known(at, ("permitted", "tools", place), "tool", name, self._names("tools"))
        if agents is not None and form.default_agent not in agents:
            sentence = f"`permitted.agents` leaves out the default agent, `{form.default_agent}`"
            self._problems.add(at.file, at.line(("permitted", "agents")), sentence)

    def _aliases(self, form: LLMForm, at: Located, secrets: Collection[str] | None) -> dict[str, Alias]:
        """`secrets`: those that tenant.yaml names; None when that can't be read."""
        for name, alias in form.aliases.items():
            for place, group in enumerate(alias.chain):
                for inner, target in enumerate(group):
                    path: Path_ = ("aliases", name, "chain", place, inner, "provider")
                    if path not in at.lines:
                        path = ("aliases", name, "chain", place, "provider")
                    self._check_known(at, path, "provider", target.provider, self._providers)
                    if target.secret is None:
                        continue
                    path = (*path[:-1], "secret")
                    if target.provider == LOCAL:
                        self._problems.add(at.file, at.line(path), f"`{LOCAL}` needs no key; leave `secret` out")
                    elif secrets is not None:
                        self._check_known(at, path, "secret", target.secret, secrets)
        return {name: _alias(name, alias) for name, alias in form.aliases.items()}

    def _check_agents(
        self, agents: Mapping[str, tuple[AgentForm, Located]], llm: tuple[LLMForm, Located] | None
    ) -> None:
        tools, prompts = self._names("tools"), self._prompt_names()
        said: dict[str, str] = {}
        for name, (form, at) in agents.items():
            for place, tool in enumerate(form.tools):
                self._check_known(at, ("tools", place), "tool", tool, tools)
                if tool in form.tools[:place]:
                    self._problems.add(at.file, at.line(("tools", place)), f"names `{tool}` a second time")
            if llm is not None:
                self._check_known(at, ("model",), "alias", form.model, llm[0].aliases)
            self._check_known(at, ("prompt",), "prompt", form.prompt or name, prompts)
            for place, pattern in enumerate(form.patterns):
                try:
                    compiled(pattern)
                except BadExpression as error:
                    sentence = f"`{pattern}` is not a regular expression of RE2: {error}"
                    self._problems.add(at.file, at.line(("patterns", place)), sentence)
            for place, example in enumerate(form.examples):
                other = said.setdefault(" ".join(example.lower().split()), f"{at.file}:{at.line(('examples', place))}")
                if other != f"{at.file}:{at.line(('examples', place))}":
                    sentence = f"the example `{example}` stands already in {other}; one utterance, one agent"
                    self._problems.add(at.file, at.line(("examples", place)), sentence)
            self._templates.check_output(at, form.output_template)


def _agent(name: str, form: AgentForm) -> Agent:
    return Agent(
        name=name,
        title=form.title,
        description=form.description,
        examples=tuple(form.examples),
        patterns=tuple(form.patterns),
        prompt=form.prompt or name,
        tools=tuple(form.tools),
        model=form.model,
        output_template=form.output_template,
        max_steps=form.max_steps,
        max_tokens=form.max_tokens,
        max_cost_usd=form.cost(),
        timeout_s=float(form.timeout_s),
    )


def _alias(name: str, form: AliasForm) -> Alias:
    targets = tuple(
        Target(target.provider, target.model, rank, target.weight, target.secret)
        for rank, group in enumerate(form.chain)
        for target in group
    )
    return Alias(name, targets, form.temperature, form.max_tokens, form.deadline_s)


def _is_network(text: str) -> bool:
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9.-]+:[0-9]{1,5}", text) is not None
    return True
