"""The page's files: vendored modules as they were published, words in every language, nothing inline."""

import hashlib
import re

import pytest

from frontdesk.console import STATIC

ROW = re.compile(r"^\| `(?P<file>[\w.-]+)` \|.*\| (?P<digest>[0-9a-f]{64}) \|$", re.MULTILINE)
WORD = re.compile(r'^  (?P<name>\w+):\s+"(?P<text>.*)",$', re.MULTILINE)
PAGES = ("index.html", "explanation.html", "console.html")
LANGUAGES = sorted(path.stem for path in (STATIC / "words").glob("*.js"))


def words(language: str) -> dict[str, str]:
    return dict(WORD.findall((STATIC / "words" / f"{language}.js").read_text()))


def test_vendored_modules_are_what_their_list_says() -> None:
    vendor = STATIC / "vendor"
    listed = dict(ROW.findall((vendor / "VENDORED.md").read_text()))
    assert listed.keys() == {"preact.js", "hooks.js", "htm.js", "lean-qr.js"}
    for file, digest in listed.items():
        assert hashlib.sha256((vendor / file).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_says_everything_with_the_same_places(language: str) -> None:
    def places(texts: dict[str, str]) -> dict[str, set[str]]:
        return {name: set(re.findall(r"\{\w+\}", text)) for name, text in texts.items()}

    assert places(words(language)) == places(words("en"))


@pytest.mark.parametrize("page", PAGES)
def test_the_page_has_nothing_inline_and_nothing_from_elsewhere(page: str) -> None:
    text = (STATIC / page).read_text()
    assert re.findall(r"<script(?![^>]*\ssrc=)|\son\w+=|<style|\sstyle=", text) == []
    assert re.findall(r'(?:src|href)="(?!/static/)', text) == []


def test_every_file_that_the_page_names_is_there() -> None:
    texts = [(STATIC / page).read_text() for page in PAGES]
    named = [name for text in texts for name in re.findall(r'(?:src|href)="/static/([^"]+)"', text)]
    assert [name for name in named if not (STATIC / name).is_file()] == []
    modules = {
        str(path.relative_to(STATIC))
        for path in STATIC.rglob("*.js")
        if path.parent.name != "words" or path.stem == "en"
    }
    assert modules == {name for name in named if name.endswith(".js")}
