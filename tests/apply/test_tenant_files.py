"""Every kind of mistake in a tenant's files is told with its file and line, all of them at once."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.apply.tenant_folder import FILES, changed, write_folder

from frontdesk.apply.files import read_folder
from frontdesk.apply.located import Located, read_yaml
from frontdesk.apply.problems import Problems
from frontdesk.core.errors import DefinitionError


def problems_of(folder: Path) -> list[str]:
    with pytest.raises(DefinitionError) as raised:
        read_folder(folder)
    return [f"{error.field.removeprefix(f'{folder}/')}: {error.message}" for error in raised.value.errors]


def test_a_right_folder_is_read_with_defaults_filled_in(tmp_path: Path) -> None:
    folder = read_folder(write_folder(tmp_path))
    assert folder.slug == "bakery"
    assert folder.agents["counter"].prompt == "counter"
    assert folder.agents["counter"].model == "smart"
    assert folder.settings.window_messages == 10
    assert folder.tools["order_bread"].config == {"file": "tools/bread.py", "function": "order"}
    assert folder.tools["find"].config == {"top_k": 3}
    assert [target.rank for target in folder.aliases["smart"].targets] == [0, 1]
    assert [source.name for source in folder.documents] == ["bread.md", "hours.txt"]


def test_equal_targets_of_a_chain_share_a_rank(tmp_path: Path) -> None:
    chain = "[[{provider: openai, model: a, weight: 3}, {provider: gemini, model: b}], {provider: local, model: c}]"
    folder = read_folder(write_folder(tmp_path, {"llm.yaml": f"aliases:\n  smart:\n    chain: {chain}\n"}))
    targets = folder.aliases["smart"].targets
    assert [(target.provider, target.rank, target.weight) for target in targets] == [
        ("openai", 0, 3),
        ("gemini", 0, 1),
        ("local", 1, 1),
    ]


TENANT, AGENT, TOOL = "tenant.yaml", "agents/counter.yaml", "tools/order_bread.yaml"


@pytest.mark.parametrize(
    ("files", "said"),
    [
        # forms
        (
            changed(TENANT, "time_zone: E", "time_zome: E"),
            "tenant.yaml:4: unknown key `time_zome`; did you mean `time_zone`?",
        ),
        (changed(TENANT, "slug: bakery\n", ""), "tenant.yaml:1: `slug` is missing"),
        (changed(TENANT, "bakery", "The Bakery"), "tenant.yaml:1: `slug` is `The Bakery`; accepted: small letters"),
        (changed(TENANT, "[en, es]", "english"), "tenant.yaml:3: `languages` must be a list, not the text `english`"),
        (changed(TENANT, "[en, es]", "[en, Spanish]"), "tenant.yaml:3: `languages[2]` is `Spanish`"),
        (changed(TENANT, "[en, es]", "[en, en]"), "tenant.yaml:3: names `en` a second time"),
        (changed(TENANT, "Europe/Dublin", "Mars/Base"), "tenant.yaml:4: unknown time zone `Mars/Base`"),
        (changed(TENANT, "counter", "countre"), "tenant.yaml:5: unknown agent `countre`; did you mean `counter`?"),
        (changed(TENANT, "    en:", "    es:"), "tenant.yaml:7: `emergency.texts` needs `en`"),
        (
            changed(TENANT, "[en, es]", "[en]\nwindow_messages: 51"),
            "tenant.yaml:4: `window_messages` is `51`; accepted: at most 50",
        ),
        (
            changed(TENANT, "[en, es]", "[en]\njoin_bursts: yes"),
            "tenant.yaml:4: `join_bursts` must be `true` or `false`",
        ),
        (changed(TENANT, "[en, es]", "[en]\nhttp_allow: [10.0.0.0/8, home]"), "tenant.yaml:4: `home` is no address"),
        (
            changed(TENANT, "[en, es]", "[en]\nchunk_tokens: 40\nchunk_overlap: 40"),
            "tenant.yaml:5: `chunk_overlap` is 40",
        ),
        (changed(TENANT, "Corner Bakery", "42"), "tenant.yaml:2: `name` must be text, not the number 42"),
        ({TENANT: ""}, "tenant.yaml:1: is empty; accepted is a mapping with at least `slug`, `name`, `emergency`"),
        ({TENANT: "- a\n"}, "tenant.yaml:1: holds a list; accepted is a mapping"),
        ({TENANT: None}, "tenant.yaml:1: is missing; every tenant has one"),
        # llm.yaml
        ({"llm.yaml": None}, "llm.yaml:1: is missing; every tenant has one"),
        (changed("llm.yaml", "openai", "opanai"), "llm.yaml:4: unknown provider `opanai`; did you mean `openai`?"),
        (changed("llm.yaml", "provider: local, ", ""), "llm.yaml:5: `provider` is missing"),
        (
            changed("llm.yaml", "    chain", "    temperature: 3\n    chain"),
            "llm.yaml:3: `aliases.smart.temperature` is `3`",
        ),
        (
            {"llm.yaml": f"aliases:\n  smart:\n    chain: [[{', '.join(['{provider: local, model: a}'] * 11)}]]\n"},
            "llm.yaml:3: `aliases.smart.chain[1]` has more than 10 entries",
        ),
        ({"llm.yaml": "aliases: {}\n"}, "llm.yaml:1: `aliases` is empty; at least 1 entry is needed"),
        # references
        (changed(AGENT, "find]", "fnd]"), "agents/counter.yaml:3: unknown tool `fnd`; did you mean `find`?"),
        (changed(AGENT, "find]", "find, find]"), "agents/counter.yaml:3: names `find` a second time"),
        (
            changed(AGENT, "title", "model: smrt\ntitle"),
            "agents/counter.yaml:1: unknown alias `smrt`; did you mean `smart`?",
        ),
        (
            {"prompts/counter.md": None, "prompts/shop.md": "x"},
            "agents/counter.yaml:1: unknown prompt `counter`; accepted: `shop`",
        ),
        (
            {"agents/cellar.yaml": FILES[AGENT].replace("title: C", "prompt: counter\ntitle: C")},
            "agents/counter.yaml:5: the example `I'd like two loaves` stands already in",
        ),
        (
            changed(AGENT, "title", "patterns: ['a(b']\ntitle"),
            "agents/counter.yaml:1: `a(b` is not a regular expression of RE2: missing )",
        ),
        (
            changed(AGENT, "title", "patterns: ['(?=a)b']\ntitle"),
            "agents/counter.yaml:1: `(?=a)b` is not a regular expression of RE2: invalid perl operator",
        ),
        # tools
        (
            changed(TOOL, "tools/bread.py", "../bread.py"),
            "tools/order_bread.yaml:3: `../bread.py` is no `*.py` file inside",
        ),
        (
            changed(TOOL, "tools/bread.py", "tools/bred.py"),
            "tools/order_bread.yaml:3: there is no file `tools/bred.py`; did you mean",
        ),
        (
            changed(TOOL, "function: order", "function: ordr"),
            "tools/order_bread.yaml:4: `tools/bread.py` has no function `ordr`; did you mean",
        ),
        ({"tools/bread.py": "def order(:\n"}, "tools/bread.py:1: is not Python"),
        (changed(TOOL, "python:", "knowledge: {}\npython:"), "tools/order_bread.yaml:2: a tool has exactly one of"),
        (
            changed(TOOL, "type: integer", "type: integr"),
            "tools/order_bread.yaml:11: `input_schema` is not a JSON Schema",
        ),
        (
            changed(TOOL, "type: object", "type: array"),
            "tools/order_bread.yaml:7: `input_schema.type` must be `object`",
        ),
        (
            changed(TOOL, "[loaves]", "[loafs]"),
            "tools/order_bread.yaml:8: `input_schema.required` names `loafs`, which is no property; did you mean",
        ),
        (
            changed(TOOL, "{en: How many?, es", "{de: Wie viele?, es"),
            "tools/order_bread.yaml:12: `x-question` must be text",
        ),
        (
            changed(TOOL, "type: integer", "enum: [one, two]\n      x-synonyms: {oen: [1st]}"),
            "tools/order_bread.yaml:12: `x-synonyms` names `oen`, no value of `enum`; did you mean `one`?",
        ),
        (changed(TOOL, "result.loaves }}", "result.loaves }"), "tools/order_bread.yaml:14: is not a Jinja template"),
        (
            changed("tools/find.yaml", "    query: {type: string}", "    query: {$ref: 'http://a/b'}"),
            "`input_schema` refers to another document",
        ),
        (
            changed("tools/find.yaml", "query", "words"),
            "tools/find.yaml:7: a knowledge tool needs the property `query`",
        ),
        (
            changed("tools/find.yaml", "knowledge:\n  top_k: 3", "http:\n  url: 'https://{query}/x'"),
            "tools/find.yaml:3: `http`.url: host and port must be fixed",
        ),
        (
            changed(
                "tools/find.yaml",
                "knowledge:\n  top_k: 3",
                "http:\n  url: https://a.example\n  headers:\n    X: '${secret:KEY}'",
            ),
            "tools/find.yaml:5: unknown secret `KEY`, see `secrets` in tenant.yaml; there are none",
        ),
        (
            changed("llm.yaml", "gpt-6.1-terra}", "gpt-6.1-terra, secret: KEY}"),
            "llm.yaml:4: unknown secret `KEY`; ",
        ),
        (
            changed("llm.yaml", "extractive}", "extractive, secret: KEY}"),
            "llm.yaml:5: `local` needs no key; leave `secret` out",
        ),
        ({"tools/abandon_pending.yaml": FILES["tools/find.yaml"]}, "tools/abandon_pending.yaml:1: `abandon_pending`"),
        # templates
        ({"prompts/counter.md": "Line\n{% if x %}\n"}, "prompts/counter.md:2: is not a Jinja template"),
        (
            {"prompts/counter.md": "Line\nof {{ organization }}\n"},
            "prompts/counter.md:2: can't be rendered for `counter`: 'organization' is undefined",
        ),
        # the folder
        ({"agent/x.yaml": "title: x"}, "agent:1: is not part of a tenant; did you mean `agents`?"),
        ({"agents/notes.txt": "x"}, "agents/notes.txt:1: has no place in `agents/`; accepted: `*.yaml`"),
        (
            {"agents/Front Desk.yaml": FILES[AGENT]},
            "agents/Front Desk.yaml:1: is named `Front Desk`; accepted: lower-case",
        ),
        # YAML
        (changed(TENANT, "name: Corner", "name: : Corner"), "tenant.yaml:2: is not YAML"),
        (changed(TENANT, "  texts", "\ttexts"), "tenant.yaml:7: is indented with a tab; YAML accepts spaces only"),
        (changed(TENANT, "name: Corner Bakery", "slug: again"), "tenant.yaml:2: sets `slug` a second time; it stands"),
        ({TENANT: "a: &x [1]\nb: *x\n"}, "tenant.yaml:1: sets the anchor `&x`; anchors are not accepted"),
        ({TENANT: "b: *x\n"}, "tenant.yaml:1: uses the alias `*x`"),
        ({TENANT: "a: 1\n<<: {b: 2}\n"}, "tenant.yaml:2: merges with `<<`"),
        ({TENANT: "a: !!python/object:os.system ls\n"}, "tenant.yaml:1: has the tag"),
        ({TENANT: "a: 1\n---\nb: 2\n"}, "tenant.yaml:2: begins a second document"),
        ({TENANT: "a: " + "[" * 10_000 + "\n"}, "tenant.yaml:1: is nested deeper than 32 levels"),
        ({TENANT: "? [a]\n: b\n"}, "tenant.yaml:1: has a list or mapping as a key"),
        ({TENANT: "name: a\nslug: b\xff\n".encode("latin-1")}, "tenant.yaml:2: byte 0xff is not UTF-8"),
        ({TENANT: "name: a\nslug: b\0\n"}, "tenant.yaml:2: has a NUL character"),
        ({TENANT: 'name: a\nslug: "\\0"\n'}, "tenant.yaml:2: has an escape for NUL"),
        ({TENANT: "#" * 1_000_001}, "tenant.yaml:1: is larger than 1,000,000 bytes"),
        ({TENANT: "- a\n" * 60_000}, "has more than 50,000 values"),
    ],
)
def test_a_mistake_is_told_with_its_file_and_line(
    tmp_path: Path, files: dict[str, str | bytes | None], said: str
) -> None:
    found = problems_of(write_folder(tmp_path, files))
    assert any(said in problem for problem in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    files = changed("tenant.yaml", "Europe/Dublin", "Mars/Base") | changed("agents/counter.yaml", "find]", "fnd]")
    files |= changed("tools/order_bread.yaml", "function: order", "function: ordr")
    found = problems_of(write_folder(tmp_path, files))
    assert [problem.split(": ")[0] for problem in found] == [
        "agents/counter.yaml:3",
        "tenant.yaml:4",
        "tools/order_bread.yaml:4",
    ]


def test_a_broken_tool_file_does_not_make_its_agents_wrong_as_well(tmp_path: Path) -> None:
    found = problems_of(write_folder(tmp_path, {"tools/find.yaml": "description: [\n"}))
    assert len(found) == 1


def test_a_link_that_leads_out_of_the_documents_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (tmp_path / "secret.md").write_text("secret")
    (folder / "documents" / "link.md").symlink_to(tmp_path / "secret.md")
    assert problems_of(folder) == ["documents/link.md:1: leads out of the folder; accepted are files inside it"]


def test_a_python_file_is_looked_at_and_never_run(tmp_path: Path) -> None:
    source = "raise SystemExit\nasync def order(arguments, context): ...\n"
    assert read_folder(write_folder(tmp_path, {"tools/bread.py": source})).tools


def test_words_that_other_readers_take_for_truth_or_time_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("no: [no, on, 14:30, 2026-11-27, 0x1F, 1_000, 1e999, +3, .5, 1e3, ~, true]\n")
    located = read_yaml(path, "x.yaml", Problems())
    assert located is not None
    assert located.value == {
        "no": ["no", "on", "14:30", "2026-11-27", "0x1F", "1_000", "1e999", 3, 0.5, 1000.0, None, True]
    }  # fmt: skip


@settings(max_examples=150)
@given(st.binary(max_size=300) | st.text(alphabet="ab:-[]{}&*!|>?%@`'\"\n\t #,~<é", max_size=200).map(str.encode))
def test_whatever_a_file_holds_it_is_read_or_its_problem_has_a_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "x.yaml"
        path.write_bytes(content)
        problems = Problems()
        located = read_yaml(path, "x.yaml", problems)
        assert isinstance(located, Located) != bool(problems)
