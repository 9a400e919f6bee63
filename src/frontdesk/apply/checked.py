"""A located file against its form: pydantic finds what is wrong, here it becomes a sentence with a line."""

from typing import Any, TypeVar, get_args  # parsed YAML and pydantic's error details are untyped

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from frontdesk.apply.forms import Form
from frontdesk.apply.located import Located, Path_
from frontdesk.apply.problems import Problems, did_you_mean

F = TypeVar("F", bound=Form)

_WANTED = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "`true` or `false`",
    "list_type": "a list",
    "dict_type": "a mapping (`key: value`)",
    "model_type": "a mapping (`key: value`)",
}

# What the patterns of `forms.py` mean, in words.
_PATTERNS = {
    r"^[a-z][a-z0-9_]{0,59}$": "lower-case letters, digits and `_`, beginning with a letter, at most 60",
    r"^[a-z]{2}$": "a language as two small letters, such as `en`",
    r"^[A-Z][A-Z0-9_]{0,99}$": "the name of an environment variable, such as `CRM_TOKEN`",
    r"^[A-Za-z][A-Za-z0-9_]{0,99}$": "letters, digits and `_`, beginning with a letter",
    r"^[a-z0-9][a-z0-9-]{0,49}$": "small letters, digits and `-`, at most 50, such as `city-clinic`",
    r"^[a-z][a-z0-9_-]{0,49}$": "the name of a provider, such as `openai`",
    r"^https?://": "an address that begins with `https://` or `http://`",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "the name of a Python function",
}


def check(located: Located, form: type[F], problems: Problems) -> F | None:
    """The form filled in; None when something had to be noted."""
    if not isinstance(located.value, dict):
        kind = "is empty" if located.value is None else f"holds {_kind(located.value)}"
        keys = ", ".join(f"`{key}`" for key, field in form.model_fields.items() if field.is_required())
        problems.add(located.file, 1, f"{kind}; accepted is a mapping with at least {keys}")
        return None
    try:
        return form.model_validate(located.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            path = _path_in(located, detail["loc"])
            problems.add(located.file, located.line(path), _sentence(detail, path, form))
    return None


def _path_in(located: Located, loc: tuple[int | str, ...]) -> Path_:
    """pydantic's location without the parts that are not in the file (wrapped groups, `[key]`)."""
    path: Path_ = ()
    value: Any = located.value
    for part in loc:
        in_list = isinstance(value, list) and isinstance(part, int) and part < len(value)
        if in_list or (isinstance(value, dict) and part in value):
            path, value = (*path, part), value[part]
    return path


def _sentence(detail: ErrorDetails, path: Path_, form: type[Form]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    what = f"`{_dotted(path)}`" if path else "the file"
    wrong_key = detail["loc"][-1] == "[key]"
    match kind:
        case "missing":
            inside = f" in `{_dotted(path)}`" if path else ""
            return f"`{detail['loc'][-1]}` is missing{inside}"
        case "extra_forbidden":
            known = _form_at(form, detail["loc"]).model_fields
            return f"unknown key {what}; {did_you_mean(str(detail['loc'][-1]), known)}"
        case _ if kind in _WANTED:
            return f"{what} must be {_WANTED[kind]}, not {_kind(detail['input'])}"
        case "string_pattern_mismatch":
            meaning = _PATTERNS.get(str(context["pattern"]), f"text that matches `{context['pattern']}`")
            key = "the key " if wrong_key else ""
            return f"{key}{what} is {_shown(detail['input'])}; accepted: {meaning}"
        case "string_too_short":
            return f"{what} is empty"
        case "string_too_long":
            return f"{what} has {len(detail['input']):,} characters; accepted: at most {context['max_length']:,}"
        case "too_short":
            return f"{what} is empty; at least {context['min_length']} entry is needed"
        case "too_long":
            return f"{what} has more than {context['max_length']:,} entries, the most that is accepted"
        case "greater_than" | "greater_than_equal" | "less_than" | "less_than_equal":
            limit = next(iter(context.values()))
            words = {"greater_than": "above", "greater_than_equal": "at least", "less_than": "below"}
            return f"{what} is {_shown(detail['input'])}; accepted: {words.get(kind, 'at most')} {limit:,}"
        case "literal_error":
            return f"{what} is {_shown(detail['input'])}; accepted: {context['expected']}"
        case _:
            return f"{what}: {detail['msg']}"


def _form_at(form: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The form whose keys stand at `loc`: followed through lists and mappings."""
    for part in loc[:-1]:
        field = form.model_fields.get(str(part))
        if field is not None:
            form = _inner_form(field.annotation) or form
    return form


def _inner_form(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((form for form in map(_inner_form, get_args(annotation)) if form), None)


def _dotted(path: Path_) -> str:
    text = ""
    for part in path:
        text += f"[{part + 1}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _kind(value: object) -> str:
    match value:
        case None:
            return "nothing"
        case bool():
            return f"`{str(value).lower()}`"
        case int() | float():
            return f"the number {value}"
        case str():
            return f"the text {_shown(value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def _shown(value: object) -> str:
    text = str(value)
    return f"`{text[:60]}…`" if len(text) > 60 else f"`{text}`"
