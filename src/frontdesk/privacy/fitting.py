"""`make privacy-model`: lists of names and sentences in, `gazetteer.bin` and `tagger.crfsuite` out, in a minute.

Words come from the lists of names that `faker` holds (MIT), from the names of places and countries in `phonenumbers`
(Apache-2.0), and everyday words from what people write to front desks in the development data (which words are
written small, nothing else). Sentences are those of `sentences/`, written for this and filled with made-up values, the
labelled ones of the development data, and messages of it that speak of nobody. The server never imports this.
"""

import importlib
import json
import pkgutil
import random
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any  # rows of data sets are JSON

import faker.providers.address
import faker.providers.person
from faker import Faker
from phonenumbers import geodata
from phonenumbers.geodata.locale import LOCALE_DATA
from pycrfsuite import Trainer  # type: ignore[attr-defined]  # an extension module without stubs

from frontdesk.privacy import gazetteer, tagger
from frontdesk.privacy.gazetteer import EVERYDAY, FIRST, LAST, PLACE, Gazetteer
from frontdesk.privacy.models import Entity
from frontdesk.privacy.tagger import OUTSIDE, TITLES, Features, tokenize

SENTENCES = Path(__file__).parent / "sentences"
DATA = Path("../shared/data")
LABELLED = "pii_presidio/pii.jsonl"
# What people write on any day, the field it stands in, and how many of its texts are learnt as speaking of nobody.
EVERYDAY_TEXTS = (
    ("banking77/banking77.jsonl", "text", 2_500),
    ("clinc150/clinc150.jsonl", "text", 4_000),
    ("medquad/qa.jsonl", "question", 500),
    ("medquad/qa.jsonl", "answer", 0),
    ("mts_dialog/mts_dialog.jsonl", "dialogue", 0),
    ("nlupp/nlupp.jsonl", "text", 800),
    ("faq_pairs/faq_pairs.jsonl", "question_1", 400),
    ("xsid/xsid.jsonl", "text", 1_500),
    ("xquad/questions.jsonl", "question", 2_000),
)
LEARNT = frozenset(path for path, _, _ in EVERYDAY_TEXTS)
# Of clinc150 the intents with these first letters are not learnt: they measure how often nobody is taken for somebody.
LEFT_OUT = "abcdefghijkl"
# The data's names of kinds, in ours. Titles, ages, nationalities and days are not marked: none of them is promised.
KINDS = {
    "PERSON": Entity.PERSON, "STREET_ADDRESS": Entity.ADDRESS, "ADDRESS": Entity.ADDRESS, "ZIP_CODE": Entity.ADDRESS,
    "GPE": Entity.LOCATION, "LOCATION": Entity.LOCATION, "ORGANIZATION": tagger.ORGANIZATION,
}  # fmt: skip

_PLACES = {Entity.ADDRESS, Entity.LOCATION}

_LOCALES = {
    "en": ("en_US", "en_GB", "en_IN", "en_AU", "en_CA", "en_IE"),
    "de": ("de_DE", "de_AT", "de_CH"),
    "es": ("es_ES", "es_MX"),
    "fr": ("fr_FR", "fr_CH"),
    "pt": ("pt_BR", "pt_PT"),
    "it": ("it_IT",),
    "nl": ("nl_NL",),
    "id": ("id_ID",),
}
_ABROAD = ("pl_PL", "cs_CZ", "hu_HU", "sv_SE", "fi_FI", "da_DK", "no_NO", "tr_TR", "hr_HR", "sl_SI", "ro_RO", "et_EE")
_DRAWN = 24  # sentences of one that has slots
_DRAWN_ELSEWHERE = 16  # of the other languages
_PLAIN = 3  # times that a sentence without slots counts
_SMALL, _CAPITALS = 0.15, 0.03  # share of sentences that stand in small letters, in capitals
_SEED = 20_261_121
_SLOT = re.compile(r"\{(\w+)\}")
_OFTEN = 3  # that a word must be seen in small letters to be an everyday one

Span = tuple[int, int, str]
Labelled = tuple[str, Sequence[Span]]


def gather(data: Path) -> Gazetteer:
    """The words of all lists."""
    words: dict[str, int] = {}

    def add(name: str, flag: int) -> None:
        for token in tokenize(name):
            word = token.group().lower()
            if len(word) > 2 and word.isalpha() and word not in TITLES:
                words[word] = words.get(word, 0) | flag

    for name, flag in [*_people(), *((name, PLACE) for name in {*_places(), *_countries()})]:
        add(name, flag)
    seen = Counter(
        token.group()
        for path, field, _ in EVERYDAY_TEXTS
        for row in _rows(data / path)
        for token in tokenize(row.get(field) or "")
        if token.group().islower()
    )
    seen.update({word: _OFTEN for text in _own_words() for word in text.split() if word.islower()})
    for word, number in seen.items():
        if number >= _OFTEN:
            words[word] = words.get(word, 0) | EVERYDAY
    return Gazetteer.of(words)


def sentences(data: Path, labelled: Iterable[Mapping[str, Any]], words: Gazetteer) -> list[Labelled]:
    """Everything to learn from: `labelled` rows, our own sentences, and what speaks of nobody. The same each time."""
    chance = random.Random(_SEED)
    learnt: list[Labelled] = [(row["text"], marked(row)) for row in labelled]
    values = {language: Values(language, chance) for language in _LOCALES}
    for path in sorted(SENTENCES.glob("*.txt")):
        language = path.stem.rpartition("-")[2]
        drawn = _DRAWN if language == "en" else _DRAWN_ELSEWHERE
        for line in _lines(path):
            times = drawn if _SLOT.search(line.replace("{{", "")) else _PLAIN
            learnt += [values[language].fill(line) for _ in range(times)]
    for name, field, most in EVERYDAY_TEXTS:
        rows = [row for row in _rows(data / name) if not (name.startswith("clinc150") and is_left_out(row))]
        texts = [row[field] for row in rows if _is_of_nobody(row[field], words)]
        learnt += [(text, []) for text in chance.sample(texts, min(most, len(texts)))]
    return [_in_other_letters(text, spans, chance) for text, spans in learnt]


def fit(learnt: Sequence[Labelled], words: Gazetteer, path: Path) -> None:
    """Writes the model to `path`. Some ten seconds of one core."""
    features = Features(words)
    trainer = Trainer(algorithm="lbfgs", verbose=False)
    # Chosen on the development data, templates apart: c1 drops what hardly counts, which keeps the file small.
    trainer.set_params(
        {"c1": 0.3, "c2": 0.02, "max_iterations": 150, "feature.minfreq": 3, "feature.possible_transitions": True}
    )
    for text, spans in learnt:
        tokens = tokenize(text)
        if tokens:
            trainer.append(features.of(tokens), labels(tokens, spans))
    trainer.train(str(path))


def labels(tokens: Sequence[re.Match[str]], spans: Iterable[Span]) -> list[str]:
    """`B-…` at the first word of a span, `I-…` at its others, `O` elsewhere. Touching parts of one kind are one."""
    marked = [OUTSIDE] * len(tokens)
    for start, end, kind in spans:
        inside = [at for at, token in enumerate(tokens) if token.start() < end and start < token.end()]
        for place, at in enumerate(inside):
            marked[at] = f"{'I' if place else 'B'}-{kind}"
    return marked


class Values:
    """Made-up people and places of a language's countries, now and then of others."""

    def __init__(self, language: str, chance: random.Random) -> None:
        self._chance = chance
        self._own = [_faker(locale) for locale in _LOCALES[language]]
        self._others = [_faker(locale) for locale in _ABROAD + _LOCALES["en"]]

    def fill(self, line: str) -> Labelled:
        """The sentence with its slots filled, and what they were filled with."""
        text, spans, read = "", [], 0
        line = line.replace("\\n", "\n").replace("{{", "\0").replace("}}", "\1")
        for slot in _SLOT.finditer(line):
            text += line[read : slot.start()]
            value, kind = self._value(slot[1])
            if kind is not None:
                spans.append((len(text), len(text) + len(value), kind))
            text += value
            read = slot.end()
        text += line[read:]
        text = text.replace("\0", "{").replace("\1", "}")
        return text, joined(text, spans)

    def _value(self, slot: str) -> tuple[str, str | None]:
        fake = self._chance.choice(self._own if self._chance.random() < 0.7 else self._others)
        match slot:
            case "person":
                middle = f" {fake.random_uppercase_letter()}." if self._chance.random() < 0.1 else ""
                return f"{fake.first_name()}{middle} {fake.last_name()}", Entity.PERSON
            case "first":
                return fake.first_name(), Entity.PERSON
            case "last":
                return fake.last_name(), Entity.PERSON
            case "title":
                return self._chance.choice(
                    ("Dr.", "Dr", "Mr.", "Mrs.", "Ms.", "Prof.", "Mr", "Miss", "Herr", "Frau", "Señora")
                ), None
            case "address":
                return self._joined(fake.address()), Entity.ADDRESS
            case "street":
                return fake.street_address(), Entity.ADDRESS
            case "zip":
                return fake.postcode(), Entity.ADDRESS
            case "city":
                return fake.city(), Entity.LOCATION
            case "country":
                return fake.country(), Entity.LOCATION
            case "company":
                return fake.company(), tagger.ORGANIZATION
            case "phone":
                return fake.phone_number(), None
            case "email":
                return fake.ascii_safe_email(), None
            case "date":
                return fake.date(self._chance.choice(("%d %B %Y", "%Y-%m-%d", "%d/%m/%Y", "%B %d"))), None
        raise ValueError(f"No slot is called {slot!r}.")

    def _joined(self, address: str) -> str:
        return address if self._chance.random() < 0.3 else address.replace("\n", self._chance.choice((", ", " ")))


def _faker(locale: str) -> Faker:
    fake = Faker(locale)
    fake.seed_instance(_SEED)
    return fake


def marked(row: Mapping[str, Any]) -> list[Span]:
    """The row's spans of our kinds, in order. A title before a name is not part of it; the parts of an address that
    stand side by side (street, town, postcode) are one address."""
    found: list[Span] = []
    for span in sorted(row["spans"], key=lambda span: span["start"]):
        kind = KINDS.get(span["type"])
        if kind is not None:
            start = untitled(row["text"], span["start"], span["end"]) if kind is Entity.PERSON else span["start"]
            if start < span["end"]:
                found.append((start, span["end"], kind))
    return joined(row["text"], found)


def joined(text: str, found: Iterable[Span]) -> list[Span]:
    """`found` in order, with what touches made one: names with nothing but blanks between, parts of one address."""
    whole: list[Span] = []
    for start, end, kind in sorted(found):
        if whole:
            first, last, before = whole[-1]
            between = text[last:start]
            if kind == before == Entity.PERSON and between and not between.strip(" \t"):
                whole[-1] = (first, end, kind)
                continue
            if {kind, before} <= _PLACES and not between.strip(" \t\n\r,>") and Entity.ADDRESS in (kind, before):
                whole[-1] = (first, end, Entity.ADDRESS)
                continue
        whole.append((start, end, kind))
    return whole


def untitled(text: str, start: int, end: int) -> int:
    """Where the name begins behind its titles; `end` when it is nothing but titles."""
    for token in tokenize(text[start:end]):
        word = token.group().lower()
        if word not in TITLES and word != ".":
            return start + token.start()
    return end


def _in_other_letters(text: str, spans: Sequence[Span], chance: random.Random) -> Labelled:
    drawn = chance.random()
    changed = text.lower() if drawn < _SMALL else text.upper() if drawn < _SMALL + _CAPITALS else text
    return (changed if len(changed) == len(text) else text), spans  # a letter that becomes two would move the places


def is_left_out(row: Mapping[str, Any]) -> bool:
    """Of clinc150: whether the row's intent is one that is not learnt."""
    return str(row["intent"])[0] in LEFT_OUT


def _is_of_nobody(text: str, words: Gazetteer) -> bool:
    """Whether no word of the text is a name and nothing else."""
    flags = [words.flags(token.group().lower()) for token in tokenize(text) if len(token.group()) > 2]
    return not any(flag and not flag & EVERYDAY for flag in flags)


def _people() -> Iterator[tuple[str, int]]:
    for module in pkgutil.iter_modules(faker.providers.person.__path__):
        provider = importlib.import_module(f"faker.providers.person.{module.name}").Provider
        for attribute in dir(provider):
            flag = (
                FIRST
                if attribute.startswith(("first_name", "middle"))
                else LAST
                if attribute.startswith("last_name")
                else 0
            )
            listed = getattr(provider, attribute)
            if flag and isinstance(listed, (tuple, list, Mapping)):
                for name in listed:
                    if isinstance(name, str):
                        yield name, flag


def _places() -> Iterator[str]:
    for module in pkgutil.iter_modules(geodata.__path__):
        if module.name.startswith("data"):
            for names in importlib.import_module(f"phonenumbers.geodata.{module.name}").data.values():
                for name in names.values():
                    yield re.split(r"[,/(]| - ", name)[0]


def _countries() -> Iterator[str]:
    for names in LOCALE_DATA.values():
        yield from (name for name in names.values() if not name.startswith("*"))


def _own_words() -> Iterator[str]:
    for path in sorted(SENTENCES.glob("*.txt")):
        for line in _lines(path):
            yield " ".join(token.group() for token in tokenize(_SLOT.sub(" ", line)))


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


def _rows(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def main() -> None:
    data = Path(sys.argv[1]) if len(sys.argv) > 1 else DATA
    words = gather(data)
    words.save()
    fit(sentences(data, _rows(data / LABELLED), words), words, tagger.FILE)
    print(f"{gazetteer.FILE.stat().st_size:,} bytes of words, {tagger.FILE.stat().st_size:,} bytes of model")  # noqa: T201


if __name__ == "__main__":
    main()
