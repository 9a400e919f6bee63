"""Texts that want to run, to load, to cover or to turn round what stands beside them, and a tenant made of them."""

import json
from pathlib import Path

import yaml

RLO, LRI = "\u202e", "\u2066"  # bidi: everything behind is turned round, until somebody ends it

TEXTS = [
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "<svg/onload=window.hacked=1><svg><animate onbegin=window.hacked=1 attributeName=x dur=1s>",
    "<style>*{display:none!important} body{background:url(https://evil.example/css)}</style>",
    "<link rel=stylesheet href=https://evil.example/a.css><base href=https://evil.example/>",
    "<iframe srcdoc='<script>parent.hacked=1</script>'></iframe><object data=https://evil.example></object>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=window.hacked=1&gt;'>",
    "<form action=https://evil.example><button formaction=javascript:window.hacked=1>press</button></form>",
    "<details open ontoggle=window.hacked=1><a autofocus onfocus=window.hacked=1 tabindex=1>x</a>",
    "</textarea></title></script><script>window.hacked=1</script>",
    "[press](javascript:window.hacked=1) [press](JaVa\tScRiPt:window.hacked=1)",
    "[press](&#106;avascript:window.hacked=1) [press](java&Tab;script&colon;window.hacked=1)",
    "[press](data:text/html;base64,PHNjcmlwdD5wYXJlbnQuaGFja2VkPTE8L3NjcmlwdD4=) [press](blob:https://evil.example/1)",
    "[press](//evil.example/a) [press](\\\\evil.example\\a) [press](/api/clinic/page) [press](vbscript:x)",
    "[press](https://a.example/\"onmouseover=\"window.hacked=1) [press](https://a.example/'-window.hacked-')",
    "![x](https://evil.example/pixel.png) ![x](javascript:window.hacked=1)",
    "[[[[[[[[x](https://a.example)](javascript:window.hacked=1)](data:,x)]]]](vbscript:x)",
    "**[*_~~`[x](`javascript:window.hacked=1`)~~_*",
    "<a href='javas&#99;ript:window.hacked=1'>press</a> <a href=data:text/html,x>press</a>",
    "{{constructor.constructor('window.hacked=1')()}} ${window.hacked=1} #{7*7} <%= 7*7 %>",
    '"><img src=x onerror=window.hacked=1><!-- ]]> --> <![CDATA[<script>window.hacked=1</script>]]>',
    f"turned {RLO}round {LRI}and left open",
    "\u2028window.hacked=1\u2029 \x1b[2J \ufeff \u0085 \ud7ff",
]

LINE = f"{TEXTS[1]} {TEXTS[10][:60]} {RLO}"  # of titles and names: one line each
QUESTION = "When are visiting hours? " + " ".join(TEXTS[:4])


def make(folder: Path) -> None:
    """A tenant named `hostile` all of whose words are."""
    files = {
        "tenant.yaml": {
            "slug": "hostile", "name": LINE, "default_agent": "desk", "anonymous_chat": True,
            "greeting": "\n".join(TEXTS)[:1500], "suggestions": [TEXTS[1], TEXTS[10][:80], f"{RLO}now"],
            "emergency": {"texts": {"en": "\n\n".join(TEXTS[:10])}}, "human_text": {"en": TEXTS[1]},
        },
        "llm.yaml": {
            "aliases": {"smart": {"chain": [{"provider": "openai", "model": "gpt-6.1-terra"}]}},
        },
        "agents/desk.yaml": {
            "title": LINE, "description": TEXTS[0], "tools": ["find"],
            "examples": ["When are visiting hours?", TEXTS[2]],
        },
        "tools/find.yaml": {
            "description": TEXTS[0], "knowledge": {"top_k": 3},
            "input_schema": {
                "type": "object", "required": ["query"], "properties": {"query": {"type": "string"}},
            },
        },
    }  # fmt: skip
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(yaml.safe_dump(content, allow_unicode=True))
    for name in ("documents", "prompts"):
        (folder / name).mkdir()
    (folder / "prompts" / "desk.md").write_text("Answer from the documents.\n")
    body = "\n\n".join(TEXTS)
    (folder / "documents" / "visiting-hours.md").write_text(
        f"# {LINE}\n\n## {TEXTS[1]}\n\nVisiting hours are from 14:00 to 16:00.\n\n{body}\n"
    )


def says(system_wants_json: bool, has_results: bool) -> str | None:
    """What the model says: a hostile answer with a citation, once it has searched."""
    if system_wants_json:
        return json.dumps({"kind": "single", "agents": ["desk"]})
    return "Visiting hours are from 14:00 to 16:00. [1]\n\n" + "\n\n".join(TEXTS) if has_results else None
