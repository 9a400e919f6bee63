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


@pytest.mark.parametrize(
    ("source", "refused"),
    [
        ("{% for a in range(9) %}{% endfor %}", r"`range\(…\)`"),
        ("{{ 'a' | center(10000000000) }}", "the filter `center`"),
        ("{{ result | join(result) }}", "no constant"),
        ("{{ 1.5 | round(1000000000) }}", "above 1000"),
        ("{{ 2 ** 9 }}", "`pow`"),
        ("{% macro a() %}{{ a() }}{% endmacro %}", "`macro`"),
        ("{% for a in result recursive %}{{ loop(a) }}{% endfor %}", "recursive"),
        ("{{ 'a'.ljust(10) }}", r"`ljust\(…\)`"),
        ("{% set a = [result, result] %}", "a list of"),
        ("{{ result['get']('a') }}", "`call`"),
        ("{% for a in b %}" * 6 + "{% endfor %}" * 6, "a loop in 5 others"),
        ("{{ a }}" * 5_001, "more than 5000 parts"),
    ],
)
def test_what_can_multiply_is_refused_with_its_place(source: str, refused: str) -> None:
    with pytest.raises(DefinitionError, match=rf"^desk\.md:2: is not a Jinja template: .*{refused}"):
        Templates().check("Hello\n" + source, "desk.md")


def test_a_template_that_is_nested_beyond_reading_is_refused() -> None:
    with pytest.raises(DefinitionError, match="nested too deeply"):
        Templates().check("{{ " + "(" * 50_000, "desk.md")


@pytest.mark.parametrize(
    "source",
    [
        "{{ 'a' * 10000000000 }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ 10000000000000000 * 10000000000000000 }}",
        "{% for a in many %}{% for b in many %}{% for c in many %}{% endfor %}{% endfor %}{% endfor %}",
        "{% for a in many %}{{ '' if many | tojson }}{% endfor %}",
        "{% for a in many %}{% if a in many %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if many == others %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if text.upper() %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if text[::-1] %}{% endif %}{% endfor %}",
        "{% for a in many %}{% if many[1:] %}{% endif %}{% endfor %}",
        "{% for a in many %}" + "{% if a %}{% endif %}" * 1000 + "{% endfor %}",
        "{% set a = text %}" + "{% set a = a ~ a %}" * 40,
        "{% set a = text %}" + "{% set a = a + a %}" * 40,
        "{% set a = many %}" + "{% set a = a + a %}" * 40,
        "{% set a = 'ab' | " + " | ".join(["join(',')"] * 40) + " %}",
        "{% set a = ['ab'] | " + " | ".join(["map('join', ',')"] * 40) + " | list %}",
        "{% set a = text | " + " | ".join(["replace('a', 'aaaaaaaaaaaaaaaaaaaa')"] * 40) + " %}",
    ],
)
def test_a_template_that_would_take_too_long_ends_early(source: str) -> None:
    values = {"many": [str(n) for n in range(1000)], "others": [str(n) for n in range(1000)], "text": "a" * 1000}
    with pytest.raises(TemplateFailed, match=r"takes more than|is for numbers"):
        Templates().render(source, source, values)


def test_what_templates_are_written_for_goes_on() -> None:
    source = (
        "{% for day in days if day.times %}{{ loop.index }}. {{ day.day | title }}: "
        "{% for time in day.times %}{{ time ~ ('' if loop.last else ', ') }}{% endfor %}\n{% endfor %}"
        "{% for key, value in prices.items() %}{{ key }}={{ (value * 2) | round(1) }} {% endfor %}"
        "{% set names = days | map(attribute='day') | sort | join('/') %}{{ names }} {{ note | default(names[:3]) }} "
        "{{ 'yes' if 'mon' in names and note is not defined }} {{ 7 % 4 + 1 }} {{ days | tojson | length }}"
    )
    days = [{"day": "mon", "times": ["9:00", "9:30"]}, {"day": "tue", "times": []}]
    text = Templates().render(1, source, {"days": days, "prices": {"a": 1.25}})
    assert text == "1. Mon: 9:00, 9:30\na=2.5 mon/tue mon yes 4 72"


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
