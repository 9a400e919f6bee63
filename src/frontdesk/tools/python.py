"""Tools of kind `python`: functions in the deployment's own files, beside the tenant's other files.

`config` of the definition: `{file: tools/appointments.py, function: book}`, the file relative to the tenant's folder.

    async def book(arguments: dict, context: ToolContext) -> dict

The function may also be a plain one, which then runs in a thread. It raises NeedsInput to ask the contact for a
parameter, and ToolError to say in a sentence why it could not do its work.
"""

import asyncio
import contextvars
import hashlib
import importlib.util
import inspect
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any  # what a deployment's function takes and returns is JSON

import msgspec

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.types import JSONObject, ToolContext, ToolDefinition, ToolError, ToolResult, ToolStatus

MAX_THREADS = 16


class PythonConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`config` of a python tool."""

    file: str
    function: str

    @classmethod
    def of(cls, definition: ToolDefinition) -> "PythonConfig":
        """Raises DefinitionError that says what is accepted."""
        try:
            config = msgspec.convert(definition.config, cls)
        except msgspec.ValidationError as error:
            raise DefinitionError(f"config of the python tool: {error}.") from error
        if not config.function.isidentifier() or config.function.startswith("_"):
            raise DefinitionError(f"config.function: {config.function!r} is not the name of a public function.")
        return config


class PythonFiles:
    """The tools' modules of this deployment, each loaded once per change of its file."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        """`folders`: a tenant's slug to the folder of its files; other tenants have no python tools."""
        self._folders = {slug: folder.resolve() for slug, folder in folders.items()}
        self._loaded: dict[Path, tuple[tuple[int, int], ModuleType]] = {}
        self._loading = threading.Lock()
        self._threads = threading.Semaphore(MAX_THREADS)

    def path(self, slug: str, file: str) -> Path:
        """Where the file is. Raises DefinitionError when it is not one of the tenant's own `.py` files."""
        folder = self._folders.get(slug)
        if folder is None:
            raise DefinitionError("python tools need the tenant's folder on this server; it has none.")
        path = (folder / file).resolve()  # links followed: where they lead must be inside as well
        if not path.is_relative_to(folder) or path.suffix != ".py":
            raise DefinitionError(f"config.file: {file!r} must be a .py file inside the tenant's folder.")
        if not path.is_file():
            raise DefinitionError(f"config.file: {file!r} is not there.")
        return path

    def loaded(self, path: Path) -> ModuleType | None:
        """The file's module, when it is loaded and the file has not changed since."""
        kept = self._loaded.get(path)
        return kept[1] if kept is not None and kept[0] == _stamp(path) else None

    def load(self, path: Path) -> ModuleType:
        """Runs the file, once per change: call it in a thread. Raises DefinitionError."""
        with self._loading:
            module = self.loaded(path)
            if module is None:
                stamp = _stamp(path)
                module = _load(path)
                self._loaded[path] = (stamp, module)
        return module

    async def in_thread(self, function: Callable[..., Any], *args: Any) -> Any:
        """The function's result, from a thread of its own.

        A thread can't be stopped. So it is a daemon, that a hung tool does not hold up the end of the process, and
        its place is free again only when it has really ended: raises ToolError when 16 are busy.
        """
        if not self._threads.acquire(blocking=False):
            raise ToolError("Too many calls of this kind are running. Try again in a moment.")
        loop = asyncio.get_running_loop()
        outcome: asyncio.Future[Any] = loop.create_future()
        context = contextvars.copy_context()

        def run() -> None:
            try:
                result, failure = context.run(function, *args), None
            except BaseException as error:  # noqa: BLE001 - whatever it is, the waiting call raises it
                result, failure = None, error
            finally:
                self._threads.release()
            if not loop.is_closed():
                loop.call_soon_threadsafe(_settle, outcome, result, failure)

        threading.Thread(target=run, name="python-tool", daemon=True).start()
        return await outcome


class PythonTool:
    """One python tool of a tenant. Raises DefinitionError when its `config` is wrong."""

    is_repeatable = True  # the function's side of the bargain: it is given the call's idempotency key

    def __init__(self, definition: ToolDefinition, slug: str, files: PythonFiles) -> None:
        self.definition = definition
        self._files = files
        self._config = PythonConfig.of(definition)
        self._path = files.path(slug, self._config.file)

    async def call(self, arguments: JSONObject, context: ToolContext) -> ToolResult:
        """Raises what the function raises."""
        module = self._files.loaded(self._path)
        if module is None:
            module = await asyncio.to_thread(self._files.load, self._path)
        function = _function(module, self._config.function)
        if inspect.iscoroutinefunction(function):
            result = await _own(function(arguments, context))
        else:
            result = await self._files.in_thread(function, arguments, context)
        return ToolResult(ToolStatus.OK, data=result)


class _Loader(SourceFileLoader):
    """Compiles from the source each time: cached bytecode knows whole seconds only, and would litter the folder."""

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = self.source_to_code(self.get_data(self.path), self.path)
        return code


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_size


def _load(path: Path) -> ModuleType:
    # Dataclasses and pickles look their module up by name, so it is registered, under a name of its own.
    name = f"frontdesk_tenant_tools_{path.stem}_{hashlib.sha256(bytes(path)).hexdigest()[:12]}"
    loader = _Loader(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None, "a spec is made of every loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except BaseException as error:  # also a file that calls sys.exit()
        line = getattr(error, "lineno", None)
        raise DefinitionError(f"{path.name}{f':{line}' if line else ''}: {type(error).__name__} on loading.") from error
    return module


def _function(module: ModuleType, name: str) -> Callable[..., Any]:
    function = getattr(module, name, None)
    if not inspect.isfunction(function):
        raise DefinitionError(f"config.function: the file has no function {name!r}.")
    return function


def check_python_tool(definition: ToolDefinition, slug: str, files: PythonFiles) -> None:
    """Loads the file and looks the function up. Raises DefinitionError that says what is wrong."""
    config = PythonConfig.of(definition)
    _function(files.load(files.path(slug, config.file)), config.function)


async def _own(call: Awaitable[Any]) -> Any:
    """The call's result. What would end more than the call (`sys.exit()`, a cancellation of its own) ends no more."""
    try:
        return await call
    except Exception:
        raise
    except BaseException as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # it is us who cancel
        raise RuntimeError(f"{type(error).__name__} in a tool") from error


def _settle(outcome: asyncio.Future[Any], result: Any, failure: BaseException | None) -> None:
    if outcome.done():
        return  # nobody waits any more: the call was timed out or cancelled
    if failure is None:
        outcome.set_result(result)
    elif isinstance(failure, Exception) and not isinstance(failure, StopIteration):
        outcome.set_exception(failure)
    else:
        outcome.set_exception(RuntimeError(f"{type(failure).__name__} in a tool"))
