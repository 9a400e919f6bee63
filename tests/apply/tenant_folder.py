"""A small tenant's files, to be changed and broken by the tests."""

from pathlib import Path

FILES = {
    "tenant.yaml": """\
slug: bakery
name: Corner Bakery
languages: [en, es]
time_zone: Europe/Dublin
default_agent: counter
emergency:
  texts:
    en: Call 112.
""",
    "llm.yaml": """\
aliases:
  smart:
    chain:
      - {provider: openai, model: gpt-6.1-terra}
      - {provider: local, model: extractive}
""",
    "agents/counter.yaml": """\
title: Counter
description: Sells bread.
tools: [order_bread, find]
examples:
  - I'd like two loaves
  - Do you have rye bread?
""",
    "tools/order_bread.yaml": """\
description: Orders bread.
python:
  file: tools/bread.py
  function: order
side_effects: true
input_schema:
  type: object
  required: [loaves]
  properties:
    loaves:
      type: integer
      x-question: {en: How many?, es: ¿Cuántos?}
output_template: |-
  {{ result.loaves }} loaves
""",
    "tools/find.yaml": """\
description: Searches.
knowledge:
  top_k: 3
input_schema:
  type: object
  required: [query]
  properties:
    query: {type: string}
""",
    "tools/bread.py": """\
async def order(arguments, context):
    return {"loaves": arguments["loaves"]}
""",
    "prompts/counter.md": "You sell bread at {{ organisation }}.\n",
    "documents/bread.md": "# Bread\n\nRye bread is baked on Tuesday and Friday. A loaf costs four euros.\n",
    "documents/hours.txt": "Opening hours\n\nThe bakery is open from six until noon, except on Sunday.\n",
}


def write_folder(place: Path, files: dict[str, str | bytes | None] | None = None) -> Path:
    """The files, with some replaced, added, or (None) left out."""
    folder = place / "bakery"
    for name, content in ({**FILES, **(files or {})}).items():
        path = folder / name
        if content is None:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def changed(name: str, old: str, new: str) -> dict[str, str | bytes | None]:
    assert old in FILES[name]
    return {name: FILES[name].replace(old, new)}
