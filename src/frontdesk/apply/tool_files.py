"""A tool's file: its form filled in, then what only the folder can tell (functions, secrets) and the kind itself."""

import ast
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any  # parsed YAML is untyped

from frontdesk.apply.forms import PythonForm, ToolForm
from frontdesk.apply.located import Located, Path_, read_text
from frontdesk.apply.problems import Problems, did_you_mean
from frontdesk.apply.schemas import check_input_schema, check_schema
from frontdesk.apply.template_files import TemplateFiles
from frontdesk.core.errors import DefinitionError
from frontdesk.tools.http import HttpConfig
from frontdesk.tools.types import ToolDefinition, ToolKind

_SECRET = re.compile(r"\$\{secret:([^}]*)\}")


class ToolReader:
    def __init__(
        self, folder: Path | None, secrets: Collection[str] | None, templates: TemplateFiles, problems: Problems
    ) -> None:
        """`folder`: where functions are; None where there are none. `secrets`: those that tenant.yaml names; None when
        it can't be read."""
        self._folder = folder
        self._secrets = secrets
        self._templates = templates
        self._problems = problems
        self._functions: dict[Path, set[str] | None] = {}

    def tool(self, name: str, form: ToolForm, at: Located) -> ToolDefinition | None:
        """None when it is of no kind, or of several."""
        kinds = [kind for kind in ToolKind if getattr(form, kind) is not None]
        if len(kinds) != 1:
            has = " and ".join(f"`{kind}`" for kind in kinds) or "none"
            sentence = f"a tool has exactly one of `http`, `python`, `knowledge`; this one has {has}"
            self._problems.add(at.file, at.line((kinds[-1],)) if kinds else 1, sentence)
            return None
        kind = kinds[0]
        check_input_schema(at, form.input_schema, self._problems)
        if form.output_schema is not None:
            check_schema(at, "output_schema", form.output_schema, self._problems)
        self._templates.check_output(at, form.output_template)
        tool = ToolDefinition(
            name=name,
            kind=kind,
            description=form.description,
            input_schema=form.input_schema,
            output_schema=form.output_schema,
            side_effects=form.side_effects,
            timeout_s=float(form.timeout_s),
            examples=tuple(form.examples),
            output_template=form.output_template,
            config=getattr(form, kind).model_dump(exclude_unset=True),
        )
        self._check_kind(at, form, tool)
        return tool

    def _check_kind(self, at: Located, form: ToolForm, tool: ToolDefinition) -> None:
        if form.python is not None:
            self._check_function(at, form.python)
        elif form.http is not None:
            self._check_secrets(at, ("http",), at.value["http"])
            try:
                HttpConfig.of(tool)
            except DefinitionError as error:
                # `config.url: …` and `config: …` of the kind stand under `http` in the file.
                field = re.match(r"config\.(\w+)", error.detail)
                line = at.line(("http", field[1]) if field else ("http",))
                self._problems.add(at.file, line, error.detail.replace("config", "`http`", 1))
        elif "query" not in form.input_schema.get("properties", {}):
            line = at.line(("input_schema", "properties"))
            self._problems.add(at.file, line, "a knowledge tool needs the property `query`: what to search for")

    def _check_function(self, at: Located, python: PythonForm) -> None:
        """The function is looked for in the source; nothing of it is run."""
        line = at.line(("python", "file"))
        if self._folder is None:
            self._problems.add(at.file, line, "this tenant has no folder on the server, where its functions would be")
            return
        path = self._folder / python.file
        if not path.resolve().is_relative_to(self._folder.resolve()) or path.suffix != ".py":
            self._problems.add(at.file, line, f"`{python.file}` is no `*.py` file inside the tenant's folder")
            return
        if not path.is_file():
            known = [f"tools/{other.name}" for other in (self._folder / "tools").glob("*.py")]
            self._problems.add(at.file, line, f"there is no file `{python.file}`; {did_you_mean(python.file, known)}")
            return
        if path not in self._functions:
            self._functions[path] = self._read_functions(path)
        functions = self._functions[path]
        if functions is not None and python.function not in functions:
            near = did_you_mean(python.function, functions)
            line = at.line(("python", "function"))
            self._problems.add(at.file, line, f"`{python.file}` has no function `{python.function}`; {near}")

    def _read_functions(self, path: Path) -> set[str] | None:
        """Public functions of the file; None when it can't be read."""
        source = read_text(path, str(path), self._problems)
        if source is None:
            return None
        try:
            body = ast.parse(source).body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            line = getattr(error, "lineno", None) or 1
            self._problems.add(str(path), line, f"is not Python: {getattr(error, 'msg', error)}")
            return None
        functions = (node for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        return {node.name for node in functions if not node.name.startswith("_")}

    def _check_secrets(self, at: Located, path: Path_, value: Any) -> None:
        if isinstance(value, str):
            for name in _SECRET.findall(value):
                if self._secrets is not None and name not in self._secrets:
                    near = did_you_mean(name, self._secrets)
                    sentence = f"unknown secret `{name}`, see `secrets` in tenant.yaml; {near}"
                    self._problems.add(at.file, at.line(path), sentence)
        elif isinstance(value, dict):
            for key, inner in value.items():
                self._check_secrets(at, (*path, key), inner)
        elif isinstance(value, list):
            for place, inner in enumerate(value):
                self._check_secrets(at, (*path, place), inner)
