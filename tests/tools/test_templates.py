"""Tenants' templates: what they may do and what ends in a clear failure."""

import pytest

from frontdesk.core.errors import DefinitionError
from frontdesk.tools.templates import TemplateFailed, Templates


def test_a_template_turns_values_into_text_as_jinja_does() -> None:
    source = "{{ result.message }}\n{% for day in result.days %}\n- {{ day.day }}\n{%- endfor %}\n"
    values = {"result": {"message": "Free:", "days": [{"day": "Mon"}, {"day": "Tue"}]}}
    assert Templates().render(1, source, values) == "Free:\n\n- Mon\n- Tue"


@pytest.mark.parametrize(
    "source",
    [
        "{{ nothing }}",
        "{{ result.nothing }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ result.__init__ }}",
        "{{ result.update({'a': 1}) }}",
        "{{ 1 / 0 }}",
        "{{ result + 1 }}",
        "{{ 'a' | nofilter }}",
        "{% include 'other' %}",
        "{% for a in range(90000) %}{% for b in range(90000) %}xxxxxxxx{% endfor %}{% endfor %}",
    ],
)
def test_what_a_template_must_not_or_can_not_do_fails_plainly(source: str) -> None:
    with pytest.raises(TemplateFailed):
        Templates().render(source, source, {"result": {"message": "x"}})


def test_a_text_that_looks_like_a_template_is_only_text() -> None:
    assert Templates().render(1, "{{ result }}", {"result": "{{ 7 * 7 }}"}) == "{{ 7 * 7 }}"


def test_a_template_that_can_not_be_read_is_refused_with_its_line() -> None:
    with pytest.raises(DefinitionError, match=r"^greeting\.md:2: is not a Jinja template"):
        Templates().check("Hello\n{% if %}", "greeting.md")


def test_compiled_templates_are_kept_by_key() -> None:
    looked_up: list[bool] = []
    templates = Templates(looked_up.append)
    assert [templates.render("a", "{{ n }}", {"n": n}) for n in (1, 2)] == ["1", "2"]
    assert templates.render("b", "{{ n + 1 }}", {"n": 2}) == "3"
    assert looked_up == [False, True, False]
