"""The commands as a shell meets them: output, messages, exit codes."""

import socket
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from tests.command import run
from typer.main import get_command

from frontdesk.cli.app import app

DATA_HELP = "data directory: database, keys, models"


@pytest.fixture
def data() -> Iterator[Path]:
    """Not pytest's own folder: its parent is closed to the user that the embedded database runs as under root."""
    with tempfile.TemporaryDirectory(prefix="frontdesk-cli-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def test_version() -> None:
    done = run("version")
    assert (done.returncode, done.stdout.strip()) == (0, version("frontdesk"))


def test_the_data_directory_has_one_name_in_every_command() -> None:
    def options(command: Any) -> list[Any]:  # of the library's own kinds, which it does not export
        inside = getattr(command, "commands", {}).values()
        return [*command.params, *(option for each in inside for option in options(each))]

    found = [option for option in options(get_command(app)) if option.param_type_name == "option"]
    named = {tuple(option.opts) for option in found if option.help == DATA_HELP}
    meant = {option.help for option in found if "--data" in option.opts}
    assert (named, meant) == ({("--data",)}, {DATA_HELP})


def test_a_public_address_is_refused_with_the_reason(data: Path) -> None:
    done = run("serve", "--host", "0.0.0.0", "--data", str(data))
    assert done.returncode == 1
    assert "speaks no TLS itself" in done.stderr
    assert "FRONTDESK_PROXIES" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_taken_port_is_told_at_once(data: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("serve", "--port", str(port), "--data", str(data))
    assert done.returncode == 1
    assert f"127.0.0.1:{port} can't be used" in done.stderr
    assert "--port or FRONTDESK_PORT" in done.stderr


@pytest.mark.parametrize(
    ("url", "what"),
    [
        ("postgresql://127.0.0.1:1/none", "The database can't be reached"),
        ("mysql://x", "is not a PostgreSQL URL"),
    ],
)
def test_a_wrong_database_url_is_told(data: Path, url: str, what: str) -> None:
    done = run("migrate", "--data", str(data), FRONTDESK_DATABASE_URL=url)
    assert done.returncode == 1
    assert what in done.stderr
    assert "Traceback" not in done.stderr


def test_an_unknown_example_is_told_with_those_there_are(data: Path) -> None:
    done = run("serve", "--port", "0", "--data", str(data), FRONTDESK_EXAMPLE="hospital")
    assert done.returncode == 1
    assert "there is no example 'hospital'. Known: clinic" in done.stderr


def test_migrate_twice_and_doctor_on_a_fresh_directory(data: Path) -> None:
    for _ in range(2):
        done = run("migrate", "--data", str(data))
        assert (done.returncode, done.stderr.count("up to date.")) == (0, 1)
    done = run("doctor", "--data", str(data))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL" not in done.stdout
    for what in ("python", "data directory", "database", "embedding model", "providers"):
        assert f"ok   {what}" in done.stdout


def test_a_key_file_that_others_may_read_stops_the_start(data: Path) -> None:
    key = data / "keys"
    key.write_text("x")
    key.chmod(0o644)
    done = run("serve", "--port", "0", "--data", str(data))
    assert done.returncode == 1
    assert f"chmod 600 {key}" in done.stderr


def test_kafka_and_misspelt_variables_are_warned_of(data: Path) -> None:
    done = run("migrate", "--data", str(data), FRONTDESK_KAFKA_SERVERS="127.0.0.1:9092", FRONTDESK_PROT="1")
    assert "FRONTDESK_KAFKA_SERVERS is set, but this version does not use it" in done.stderr
    assert "FRONTDESK_PROT: there is no such setting" in done.stderr
