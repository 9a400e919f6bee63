"""Tenant files and documents that anybody may have written: read, or refused in a sentence, within bounds."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frontdesk.apply.files import read_folder
from frontdesk.core.errors import DefinitionError
from frontdesk.knowledge.chunk import ChunkSettings, chunk
from frontdesk.knowledge.models import Source
from frontdesk.knowledge.parse import DocumentRefused, parse

CLINIC = Path(__file__).parents[2] / "examples" / "clinic"
FILES = {
    path.relative_to(CLINIC).as_posix(): path.read_text()
    for path in sorted(CLINIC.rglob("*"))
    if path.suffix in (".yaml", ".py") or path.parent.name == "prompts"
}
CHANGED = sorted(name for name in FILES if name.endswith(".yaml"))
VALUES = st.sampled_from(
    [".inf", ".nan", "-1", "0", "1e999", "-1e999", "9" * 18, "9" * 400, "0x10", "1_000", "true", "null", "~", "''",
     "&a [*a]", "*a", "!!python/object/apply:os.system [id]", "!!binary aGk=", "<<: {a: 1}", "[" * 40 + "]" * 40,
     "{a: " * 40 + "}" * 40, "|", "|\n  a\n b", ">-", "? a", "- - -", "---", "...", "%YAML 1.1", "@", "`", '"\\0"',
     '"\\ud800"', '"\\U0010ffff"', "\u0085", "\u2028", "\ufeff", "\t", "a: b: c", "# no", "'", '"', "${secret:X}",
     "{{ 7 * 7 }}", "{% for a in range(10**9) %}a{% endfor %}", "(a+)+$", "[[:alpha:]", "../../etc/passwd",
     "http://127.0.0.1", "x" * 5000, "{type: object, properties: {a: {$ref: '#'}}}", "{pattern: '('}"]
)  # fmt: skip


@st.composite
def changed(draw: st.DrawFn) -> tuple[str, bytes]:
    """One of the clinic's files with lines lost, repeated, moved, indented, cut, or their values replaced."""
    name = draw(st.sampled_from(CHANGED))
    lines = FILES[name].splitlines()
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["value", "value", "value", "drop", "repeat", "move", "indent", "cut"])):
            case "value":
                key, colon, _ = lines[place].partition(":")
                lines[place] = f"{key}{colon} {draw(VALUES)}"
            case "drop" if len(lines) > 1:
                lines.pop(place)
            case "repeat":
                lines.insert(place, lines[place])
            case "move":
                lines.insert(draw(st.integers(0, len(lines) - 1)), lines.pop(place))
            case "indent":
                lines[place] = draw(st.sampled_from([" ", "  ", "\t"])) + lines[place]
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, len(lines[place])))]
    content = "\n".join(lines).encode(errors="surrogatepass")
    if draw(st.integers(0, 5)) == 0:
        place = draw(st.integers(0, len(content)))
        content = content[:place] + draw(st.binary(max_size=4)) + content[place:]
    return name, content


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("clinic")
    for name, text in FILES.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@settings(max_examples=80, suppress_health_check=list(HealthCheck))
@given(changed())
def test_a_changed_tenant_is_read_or_its_mistake_told_with_the_line(folder: Path, change: tuple[str, bytes]) -> None:
    name, content = change
    (folder / name).write_bytes(content)
    try:
        read = read_folder(folder)
    except DefinitionError as error:
        assert error.errors
        assert all(":" in found.field and found.message for found in error.errors)
    else:
        # What was read can be kept: as JSON that PostgreSQL takes.
        for part in (read.settings, read.agents, read.tools, read.aliases):
            kept = msgspec.json.encode(part)
            assert b"\\u0000" not in kept
            assert json.loads(kept) == json.loads(json.dumps(msgspec.to_builtins(part, str_keys=True)))
    finally:
        (folder / name).write_text(FILES[name])


# Each again and again: what makes parsers slow, deep or large.
GRAINS = {
    ".md": (
        "[", "![](", "*a_", "**", "`", "> ", "- ", "1. ", "<", "<a ", "&", "&#0;", "\\", "|", "a|", "|-", "#", "# a\n",
        "[a]: b\n", "[a](<", "~~~\n", "    ", "\t", "\n", "\r", "a\n=\n", "<!--", "<![CDATA[", "<?", "\u0301", "🙂",
        "[a][", "***a ", "_" * 50 + "a ", "- a\n ", "> - ", "\x1c",
    ),
    ".html": (
        "<div>", "<", "<p", "</", "&", "&amp", "<!--", "<a href='", "<table>", "<td>", "<svg>", "<script>", "<b><i>",
        "<h1>", "<li>", "<select><option>", "<template>", "<math>", "<p>a</b>", "<a><table>", "]]>", "\n", "a", "<br>",
    ),
    ".txt": ("a", "\n", " ", "\u0301", "🙂", "\u2028", "a\n\n", "\x0b", "\u202e"),
}  # fmt: skip
GRAINS_BYTES = 128 * 1024
CPU_S, MEMORY = 60, 2 << 30  # only what grows faster than the document reaches them


@pytest.mark.parametrize("suffix", GRAINS)
def test_no_document_of_any_one_grain_takes_a_worker_with_it(suffix: str) -> None:
    """In a process that the kernel ends at its bounds."""

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))

    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", f"from tests.fuzz.test_hostile_files import read_grains; read_grains({suffix!r})"],
        preexec_fn=bounded, env=environment, capture_output=True, text=True, cwd=tempfile.gettempdir(),
    )  # fmt: skip
    assert done.returncode == 0, (done.stdout[-200:], done.stderr[-2000:])


def read_grains(suffix: str) -> None:
    for grain in GRAINS[suffix]:
        print(repr(grain), flush=True)
        content = grain.encode() * (GRAINS_BYTES // len(grain.encode()))
        try:
            extract = parse(Source(f"a{suffix}", content))
        except DocumentRefused:
            continue
        pieces = chunk(extract, ChunkSettings(), lambda text: len(text) // 4)
        for piece in pieces:
            assert 0 <= piece.start < piece.end <= len(extract.text)
