"""The one place where tenants' Jinja templates are compiled and rendered: sandboxed, strict, bounded in size and work.

The sandbox keeps a template from reaching anything but its values; `template_bounds` keeps it from stopping the server
that all tenants share.
"""

from collections.abc import Callable, Mapping
from typing import Any  # what templates are given is a tenant's own JSON

import jinja2
from cachetools import LRUCache
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.template_bounds import FILTERS, OPERATORS, STEPS, bounded, operated, weighed

MAX_CHARACTERS = 100_000


class TemplateFailed(ValueError):
    """A template that is right as such could not be rendered with these values."""


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = OPERATORS

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        operated(context, operator, left, right)
        return super().call_binop(context, operator, left, right)


class Templates:
    """Compiled templates by their key, which must change when the text does."""

    def __init__(self, counted: Callable[[bool], None] = lambda hit: None, *, most: int = 2_000) -> None:
        """`counted` is told of each look-up whether it was a hit. `most` are kept, of some KiB each."""
        self._environment = _Environment(
            undefined=jinja2.StrictUndefined,
            autoescape=False,  # the channel escapes: what comes out here is text, not HTML
            auto_reload=False,
            cache_size=0,
        )
        known = self._environment.filters
        self._environment.filters = {name: known[name] for name in FILTERS} | {"weighed": weighed}
        self._environment.globals.clear()
        self._compiled: LRUCache[object, jinja2.Template] = LRUCache(most)
        self._counted = counted

    def check(self, source: str, name: str) -> None:
        """Raises DefinitionError that starts with `name:line:` when `source` is not a template, or may not be one."""
        try:
            self._read(source)
        except jinja2.TemplateSyntaxError as error:
            raise DefinitionError(f"{name}:{error.lineno}: is not a Jinja template: {error.message}") from error
        except RecursionError as error:
            raise DefinitionError(f"{name}:1: is not a Jinja template: it is nested too deeply") from error

    def render(self, key: object, source: str, values: Mapping[str, Any]) -> str:
        """Raises TemplateFailed: a name that is not there, a forbidden operation, more than 100,000 characters."""
        template = self._compiled.get(key)
        self._counted(template is not None)
        try:
            if template is None:
                template = self._compiled[key] = self._read(source)
            return _joined(template, values)
        except jinja2.TemplateError as error:  # unknown names and forbidden attributes among them
            raise TemplateFailed(str(error)) from error
        except (TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError) as error:
            # A template is a small program: it may also divide by zero.
            raise TemplateFailed(f"{type(error).__name__} while rendering") from error

    def _read(self, source: str) -> jinja2.Template:
        return self._environment.from_string(bounded(self._environment.parse(source)))


def _joined(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    pieces, length = [], 0
    for piece in template.generate({**values, STEPS: [0]}):
        length += len(piece)
        if length > MAX_CHARACTERS:
            raise TemplateFailed(f"The text is longer than {MAX_CHARACTERS} characters.")
        pieces.append(piece)
    return "".join(pieces).strip()
