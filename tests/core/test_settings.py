"""Settings: where they come from, and errors that say where and what is accepted."""

from decimal import Decimal
from pathlib import Path

import pytest

from frontdesk.core.errors import SettingsError
from frontdesk.core.settings import load_settings, unknown_variables
from frontdesk.llm.prices import Rates
from frontdesk.server.providers import prices_said


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FRONTDESK_PORT", "FRONTDESK_DATA", "OPENAI_API_KEY", "FRONTDESK_CONFIG"):
        monkeypatch.delenv(name, raising=False)


def written(folder: Path, text: str) -> Path:
    path = folder / "frontdesk.yaml"
    path.write_text(text)
    return path


def test_defaults_need_nothing() -> None:
    settings = load_settings({})
    assert (settings.host, settings.port, settings.example) == ("127.0.0.1", 8000, "clinic")


def test_the_environment_goes_before_the_file_and_the_command_line_before_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "port: 8001\ngateway:\n  deadline_s: 5\n  attempts: 2\n")
    assert load_settings({}, file).port == 8001
    monkeypatch.setenv("FRONTDESK_PORT", "8002")
    monkeypatch.setenv("FRONTDESK_GATEWAY__DEADLINE_S", "7")
    settings = load_settings({"FRONTDESK_PORT": "8002"}, file)
    assert (settings.port, settings.gateway.deadline_s, settings.gateway.attempts) == (8002, 7, 2)
    assert load_settings({}, file, {"port": 8003}).port == 8003


def test_prices_are_read_as_they_are_written_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = written(tmp_path, "prices:\n  openai: {large: {input: 0.4, output: 1.60, cached: 0}}\n")
    assert prices_said(load_settings({}, file)) == {
        ("openai", "large"): Rates(Decimal("0.4"), Decimal("1.6"), Decimal(0))
    }
    for wrong in ("-0.01", ".nan", ".inf", "1000001", "free"):
        with pytest.raises(SettingsError, match=r"frontdesk.yaml:2: prices.openai.large.input"):
            load_settings({}, written(tmp_path, f"prices:\n  openai: {{large: {{input: {wrong}, output: 1}}}}\n"))
    monkeypatch.setenv("FRONTDESK_PRICES", '{"olama": {"*": {"input": 0, "output": 0}}}')
    with pytest.raises(SettingsError, match=r"prices\.olama"):
        prices_said(load_settings({}))


def test_origins_are_a_list_in_the_file_and_separated_by_commas_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = written(tmp_path, "cors_origins: [https://a.example, https://b.example]\n")
    assert load_settings({}, file).cors_origins == ("https://a.example", "https://b.example")
    monkeypatch.setenv("FRONTDESK_CORS_ORIGINS", "https://c.example, https://d.example")
    assert load_settings({}, file).cors_origins == ("https://c.example", "https://d.example")


def test_a_vendors_own_variable_is_read_too() -> None:
    settings = load_settings({"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"})
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "sk-1"
    assert settings.openai_base_url == "http://127.0.0.1:1/v1"
    assert "sk-1" not in repr(settings)


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("port: 8001\nport_: 1\n", ":2: port_", "Did you mean port?"),
        ("\nport: abc\n", ":2: port", "valid integer"),
        ("port: 99999\n", ":1: port", "less than or equal to 65535"),
        ("env: dev\n", ":1: env", "'development' or 'production'"),
        ("gateway:\n  attempts: 0\n", ":2: gateway.attempts", "greater than or equal to 1"),
        ("gateway:\n  attempt: 2\n", ":2: gateway.attempt", "there is no such setting"),
        ("providers:\n  ollama:\n    kind: openai\n", "providers.ollama.base_url", "required"),
        ("- port\n", ":1:", "must be a mapping"),
        ("port: [1\n", ":2:", "is not YAML"),
        ("port: 1\n\tenv: production\n", ":2:", "is not YAML"),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_line(tmp_path: Path, text: str, where: str, what: str) -> None:
    file = written(tmp_path, text)
    with pytest.raises(SettingsError) as found:
        load_settings({}, file)
    assert where in found.value.detail
    assert what in found.value.detail


def test_a_mistake_in_the_environment_is_told_by_the_variables_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRONTDESK_TURNS__LEASE_S", "0.1")
    with pytest.raises(SettingsError, match=r"FRONTDESK_TURNS__LEASE_S: .*greater than or equal to 2"):
        load_settings({"FRONTDESK_TURNS__LEASE_S": "0.1"})


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_a_file_that_cannot_be_read_is_told(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "x.yaml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(SettingsError, match=r"x\.yaml: (can't be read|is not UTF-8)"):
        load_settings({}, file)


def test_a_misspelt_variable_is_named() -> None:
    [sentence] = unknown_variables(
        {"FRONTDESK_PROT": "1", "FRONTDESK_PORT": "1", "HOME": "/", "FRONTDESK_SECRET_X": ""}
    )
    assert "FRONTDESK_PROT" in sentence
    assert "FRONTDESK_PORT?" in sentence
