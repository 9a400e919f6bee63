"""Tools of kind python: the deployment's own files."""

import asyncio
import threading
from pathlib import Path

import pytest

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.python import MAX_THREADS, PythonFiles, PythonTool, check_python_tool
from frontdesk.tools.types import NeedsInput, ToolContext, ToolDefinition, ToolError, ToolKind

MODULE = '''
"""Tools of a test."""

import threading
from dataclasses import dataclass

from frontdesk.tools.types import NeedsInput, ToolContext, ToolError

gate = threading.Event()
loads = []


@dataclass
class Answer:
    said: str


async def greet(arguments: dict, context: ToolContext) -> dict:
    return {"text": f"Hello {arguments['name']}", "key": context.idempotency_key}


def in_thread(arguments: dict, context: ToolContext) -> dict:
    return {"thread": threading.current_thread().name, "said": Answer("x").said}


def asks(arguments: dict, context: ToolContext) -> dict:
    raise NeedsInput("time", "At what time?", ("9:00", "10:00"))


async def refuses(arguments: dict, context: ToolContext) -> dict:
    raise ToolError("We are closed on Sundays.")


def stops(arguments: dict, context: ToolContext) -> dict:
    raise SystemExit(3)


def hangs(arguments: dict, context: ToolContext) -> dict:
    gate.wait(30)
    return {}


def _hidden(arguments: dict, context: ToolContext) -> dict:
    return {}
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "acme"
    (folder / "tools").mkdir(parents=True)
    (folder / "tools" / "desk.py").write_text(MODULE)
    (tmp_path / "outside.py").write_text("def f(arguments, context): return {}")
    return folder


@pytest.fixture
def files(folder: Path) -> PythonFiles:
    return PythonFiles({"acme": folder})


def definition(function: str, file: str = "tools/desk.py") -> ToolDefinition:
    return ToolDefinition(
        "t", ToolKind.PYTHON, "A tool.", {"type": "object"}, config={"file": file, "function": function}
    )


async def test_a_coroutine_is_called_with_arguments_and_context(files: PythonFiles, context: ToolContext) -> None:
    result = await PythonTool(definition("greet"), "acme", files).call({"name": "Ana"}, context)
    assert result.data == {"text": "Hello Ana", "key": "key-1"}


async def test_a_plain_function_runs_in_a_thread(files: PythonFiles, context: ToolContext) -> None:
    result = await PythonTool(definition("in_thread"), "acme", files).call({}, context)
    assert result.data == {"thread": "python-tool", "said": "x"}


async def test_asking_and_refusing_come_through_from_both_kinds(files: PythonFiles, context: ToolContext) -> None:
    with pytest.raises(NeedsInput) as asked:
        await PythonTool(definition("asks"), "acme", files).call({}, context)
    assert asked.value.need.options == ("9:00", "10:00")
    with pytest.raises(ToolError, match="closed on Sundays"):
        await PythonTool(definition("refuses"), "acme", files).call({}, context)


async def test_a_tool_can_not_end_the_server(files: PythonFiles, context: ToolContext) -> None:
    with pytest.raises(RuntimeError, match="SystemExit in a tool"):
        await PythonTool(definition("stops"), "acme", files).call({}, context)


async def test_a_changed_file_is_loaded_again_and_leaves_no_bytecode(
    files: PythonFiles, folder: Path, context: ToolContext
) -> None:
    greet = PythonTool(definition("greet"), "acme", files)
    await greet.call({"name": "Ana"}, context)
    # The same length within the same second: what cached bytecode could not tell apart.
    (folder / "tools" / "desk.py").write_text(MODULE.replace("Hello", "Howdy"))
    assert (await greet.call({"name": "Ana"}, context)).data["text"] == "Howdy Ana"
    assert not (folder / "tools" / "__pycache__").exists()


async def test_hung_threads_are_counted_and_the_next_call_is_refused(files: PythonFiles, context: ToolContext) -> None:
    hangs = PythonTool(definition("hangs"), "acme", files)
    module = files.load(files.path("acme", "tools/desk.py"))
    calls = [asyncio.ensure_future(hangs.call({}, context)) for _ in range(MAX_THREADS)]
    await asyncio.sleep(0)
    with pytest.raises(ToolError, match="Too many calls"):
        await hangs.call({}, context)
    calls[0].cancel()
    module.gate.set()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert [result.data for result in results[1:]] == [{}] * (MAX_THREADS - 1)  # type: ignore[union-attr]
    assert all(thread.daemon for thread in threading.enumerate() if thread.name == "python-tool")


@pytest.mark.parametrize(
    ("file", "function", "what"),
    [
        ("../outside.py", "f", "inside the tenant's folder"),
        ("/etc/passwd", "f", "inside the tenant's folder"),
        ("tools/link.py", "f", "inside the tenant's folder"),
        ("tools/nothing.py", "f", "is not there"),
        ("tools/desk.txt", "f", "must be a .py file"),
        ("tools/desk.py", "nothing", "has no function 'nothing'"),
        ("tools/desk.py", "_hidden", "not the name of a public function"),
        ("tools/desk.py", "Answer", "has no function 'Answer'"),
        ("tools/desk.py", "gate.wait", "not the name of a public function"),
        ("tools/broken.py", "f", "broken.py:1: SyntaxError on loading"),
        ("tools/raises.py", "f", "raises.py: ZeroDivisionError on loading"),
    ],
)
def test_a_file_or_function_that_will_not_do_is_refused(
    files: PythonFiles, folder: Path, file: str, function: str, what: str
) -> None:
    (folder / "tools" / "broken.py").write_text("def f(")
    (folder / "tools" / "raises.py").write_text("1 / 0")
    (folder / "tools" / "link.py").symlink_to(folder.parent / "outside.py")
    with pytest.raises(DefinitionError) as refused:
        check_python_tool(definition(function, file), "acme", files)
    assert what in refused.value.detail


def test_a_tenant_without_a_folder_here_has_no_python_tools(files: PythonFiles) -> None:
    with pytest.raises(DefinitionError, match="need the tenant's folder"):
        PythonTool(definition("greet"), "globex", files)
