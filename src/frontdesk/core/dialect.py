"""JSON Schema as we read it: draft 2020-12, but `pattern` is an expression whose search is bounded."""

from collections.abc import Iterator
from typing import Any  # schemas and what they describe are untyped JSON

from jsonschema import Draft202012Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from frontdesk.core.expressions import BadExpression, compiled


def _pattern(validator: Validator, pattern: str, instance: Any, schema: Any) -> Iterator[ValidationError]:
    if validator.is_type(instance, "string") and not compiled(pattern).search(instance):
        yield ValidationError(f"{instance!r} does not match {pattern!r}")


def _checker() -> FormatChecker:
    """Of schemas themselves: what they call a regular expression must be one of ours."""
    checker = FormatChecker(formats=())

    @checker.checks("regex", raises=BadExpression)
    def _is_expression(value: object) -> bool:
        return not isinstance(value, str) or compiled(value) is not None

    return checker


Dialect: type[Draft202012Validator] = extend(Draft202012Validator, {"pattern": _pattern}, format_checker=_checker())
