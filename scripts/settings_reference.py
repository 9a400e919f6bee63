"""Writes docs/configuration.md from the settings themselves; with --check only says whether it is up to date."""

import sys
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, IPvAnyNetwork, SecretStr
from pydantic.fields import FieldInfo

from frontdesk.core.settings import PriceSettings, ProviderSettings, Settings

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"

HEAD = """# Configuration

<!-- made by scripts/settings_reference.py from the settings themselves: change those, then run it -->

Nothing has to be configured for a first start. What is configured comes from, the later winning:

1. the defaults below,
2. a YAML file: `frontdesk serve --config FILE`, or its path in `FRONTDESK_CONFIG`,
3. the environment,
4. the command line (`--port`, `--data`, `--host`).

In YAML the names are as below, groups nested; in the environment they are in capitals with `FRONTDESK_` in front, and
a double underscore between group and name. A wrong value stops the start with the file and line, or the variable, and
what is accepted; a `FRONTDESK_` variable that no setting reads is named in a warning, as most are misspelt.

```yaml
port: 8080
gateway:
  deadline_s: 20
providers:
  ollama: { base_url: "http://127.0.0.1:11434/v1" }
```

A tenant's own settings (languages, agents, tools, models) are files of the tenant: [tenant-files.md](tenant-files.md).
"""


def type_name(annotation: Any) -> str:
    if annotation is SecretStr:
        return "secret"
    if annotation is IPvAnyNetwork:
        return "address or network"
    if get_origin(annotation) is not None:
        parts = [type_name(part) for part in get_args(annotation) if part not in (type(None), ...)]
        return " or ".join(parts) if get_origin(annotation) is not dict else "mapping"
    return getattr(annotation, "__name__", str(annotation))


def bounds(field: FieldInfo) -> str:
    found = []
    for rule in field.metadata:
        for name, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<")):
            if (value := getattr(rule, name, None)) is not None:
                found.append(f"{sign} {value:g}" if isinstance(value, float) else f"{sign} {value}")
    return ", ".join(found)


def default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if field.default_factory is not None:
        return "the user's data folder"
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    return f"`{value}`"


def table(model: type[BaseModel], prefix: str, variable: str) -> list[str]:
    rows = ["| name | environment | default | accepted | what it does |", "|---|---|---|---|---|"]
    for name, field in model.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            continue
        accepted = " ".join(part for part in (type_name(annotation), bounds(field)) if part)
        names = f"`{prefix}{name}` | `{variable}{name.upper()}`"
        rows.append(f"| {names} | {default(field)} | {accepted} | {field.description or ''} |")
    return rows


def page() -> str:
    parts = [HEAD, "## The server\n", *table(Settings, "", "FRONTDESK_")]
    for name, field in Settings.model_fields.items():
        annotation = field.annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            parts += [f"\n## `{name}`\n", (annotation.__doc__ or "").strip() + "\n"]
            parts += table(annotation, f"{name}.", f"FRONTDESK_{name.upper()}__")
    parts += ["\n## `providers.<name>`\n", (ProviderSettings.__doc__ or "").strip() + "\n"]
    parts += table(ProviderSettings, "providers.<name>.", "FRONTDESK_PROVIDERS__<NAME>__")
    parts += ["\n## `prices.<provider>.<model>`\n", (PriceSettings.__doc__ or "").strip() + "\n"]
    parts += table(PriceSettings, "prices.<provider>.<model>.", "FRONTDESK_PRICES__<PROVIDER>__<MODEL>__")
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    if "--check" in sys.argv:
        if not PAGE.exists() or PAGE.read_text() != page():
            sys.exit(f"{PAGE.name} is not what the settings say. Run: python scripts/settings_reference.py")
    else:
        PAGE.write_text(page())
