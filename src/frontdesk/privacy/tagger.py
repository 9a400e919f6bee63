"""Names, addresses and places in a text: a conditional random field over its words, learnt by `fitting`.

Each word is told to the model by its letters' form, its ends, what the gazetteer knows of it and small lists of words
(of titles, of streets), and so are the two words before and behind it. The words themselves count only when they are
everyday ones, so that what is learnt is how one speaks of people and places, not which people the examples speak of.
"""

import re
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from pycrfsuite import Tagger as FieldTagger  # type: ignore[attr-defined]  # an extension module without stubs

from frontdesk.privacy.gazetteer import EVERYDAY, FIRST, LAST, PLACE, Gazetteer
from frontdesk.privacy.models import Entity, Finding


def word_set(words: str) -> frozenset[str]:
    return frozenset(words.split())


FILE = Path(__file__).parent / "tagger.crfsuite"

# What the model tells apart. An organisation is no personal data: it is known so that it is not taken for a person.
ORGANIZATION = "ORGANIZATION"
OUTSIDE = "O"
TITLES = word_set(
    "mr mrs ms miss mx dr prof professor sir madam lord lady rev fr sr sra srta señor señora señorita don doña "
    "dra herr frau hr fru monsieur madame mademoiselle mme mlle m senhor senhora dona signor signora sig dott "
    "dottoressa dottore meneer mevrouw dhr mw bapak ibu pak bu bpk doctor doktor docteur"
)

_TOKEN = re.compile(r"[^\W\d_]+|\d+|\n|[^\w\s]|_")
_STREETS = word_set(
    "street st avenue ave road rd drive dr lane ln boulevard blvd way court ct place pl square sq highway hwy "
    "parkway pkwy terrace crescent close row alley trail circle cir gate grove hill mews walk corner strasse "
    "straße str weg platz allee gasse ring damm ufer calle avenida avda plaza paseo camino carrera via viale "
    "piazza corso vicolo largo rue chemin allée quai impasse cours rua travessa praça praca estrada rodovia "
    "straat laan plein gracht kade weg ulica ul ulitsa prospekt út utca u tér tere körút gata gatan vägen väg vej "
    "gade plads vei veien gate katu tie jalan jl jln gang nám náměstí třída"
)
_UNITS = word_set(
    "apt apartment suite ste unit flat floor fl box room building bldg block postbox postfach apartado piso "
    "planta puerta étage etage bp cp caixa po p.o blok lantai psc apo fpo dpo rt rw no nr bis wohnung interno "
    "scala appartement"
)
_COMPANIES = word_set(
    "inc ltd llc plc corp corporation company co gmbh ag kg ohg sarl sas sa spa srl bv nv ab oy as aps lda ltda "
    "limited group holding holdings bank solutions systems partners services technologies pt tbk"
)
# A finding less probable than this is dropped: names only where we are sure. Chosen on the development data.
SURE = 0.5
SURE_OF_SMALL = 0.9  # of names in small letters: most small words are none
_NAMES = FIRST | LAST | PLACE
_LONGEST_PARTICLE = 3  # letters: "van", "de", "bin"
_LONGEST_ABBREVIATION = 4  # letters: "apt.", "str."
_OF_PROSE = frozenset("#*<?!|=")
# What machines number things with: UUIDs, and long hexadecimal words that have letters behind the first two, unlike an
# IBAN. Cut at their figures they would read like addresses.
_REFERENCE = re.compile(
    r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b(?=[0-9a-f]{2}[0-9]*[a-f])(?=[a-f]*[0-9])[0-9a-f]{16,}\b",
    re.IGNORECASE,
)
_LONGEST = 400  # words that are tagged at once: memory and time grow with them
_REMEMBERED = 8_192


class Tagger:
    """The fitted model. Each thread that asks opens it for itself: the library's is for one at a time."""

    def __init__(self, model: Path, gazetteer: Gazetteer) -> None:
        self._model = model
        self._gazetteer = gazetteer
        self._features = Features(gazetteer)
        self._opened = threading.local()
        self._of_this_thread()  # what is wrong with the file is seen now

    @classmethod
    def load(cls) -> "Tagger":
        """Raises OSError when what was learnt is not there."""
        return cls(FILE, Gazetteer.load())

    def find(self, text: str) -> list[Finding]:
        """Persons, addresses and places, in order."""
        field = self._of_this_thread()
        found: list[Finding] = []
        tokens = tokenize(_REFERENCE.sub(_blank, text))
        for at in range(0, len(tokens), _LONGEST):
            part = tokens[at : at + _LONGEST]
            labels = field.tag(self._features.of(part))
            for first, last, kind in spans(labels):
                words = [token.group() for token in part[first : last + 1]]
                if kind == ORGANIZATION or not self._can_be(kind, words):
                    continue
                least = SURE_OF_SMALL if kind == Entity.PERSON and not _has_capital(words) else SURE
                if _sureness(field, labels, first, last) >= least:
                    found.append(Finding(Entity(kind), part[first].start(), part[last].end()))
        return found

    def _can_be(self, kind: str, words: Sequence[str]) -> bool:
        """What the model says of words that speak against it is not believed."""
        match kind:
            case Entity.PERSON:
                return _is_name(words, self._gazetteer)
            case Entity.ADDRESS:
                return _is_address(words, self._gazetteer)
            case _:
                return any(word[0].isalpha() for word in words)

    def _of_this_thread(self) -> FieldTagger:
        field = getattr(self._opened, "field", None)
        if field is None:
            field = self._opened.field = FieldTagger()
            field.open(str(self._model))
        return field


def _is_name(words: Sequence[str], gazetteer: Gazetteer) -> bool:
    """A name has no figures, and no long small word that is none; all in small letters, it is a known one."""
    known = [gazetteer.flags(word.lower()) for word in words]
    is_spoken = any(
        word.islower() and len(word) > _LONGEST_PARTICLE and flags & EVERYDAY and not flags & (FIRST | LAST)
        for word, flags in zip(words, known, strict=True)
    )
    is_listed = any(flags & (FIRST | LAST) and not flags & EVERYDAY for flags in known)
    return not any(word[0].isdecimal() for word in words) and not is_spoken and (_has_capital(words) or is_listed)


def _has_capital(words: Sequence[str]) -> bool:
    return any(word[0].isupper() for word in words)


def _is_address(words: Sequence[str], gazetteer: Gazetteer) -> bool:
    """An address has more names, figures and words of streets than others, and is not several sentences."""
    plain = named = 0
    for at, word in enumerate(words):
        if word in _OF_PROSE:
            return False
        if word == "." and 0 < at < len(words) - 1 and _ends_sentence(words[at - 1], words[at + 1]):
            return False
        if word[0].isalnum():
            small = word.lower()
            is_plain = word.islower() and small not in _STREETS | _UNITS and not gazetteer.flags(small) & _NAMES
            plain, named = plain + is_plain, named + (not is_plain)
    return plain <= named and any(word[0].isalpha() for word in words)


def _ends_sentence(before: str, after: str) -> bool:
    """Whether a full stop between these is one, and none of an abbreviation."""
    return before.islower() and len(before) > _LONGEST_ABBREVIATION and after[0].isupper()


def _sureness(field: FieldTagger, labels: Sequence[str], first: int, last: int) -> float:
    """How probable the least probable of the words' labels is, whatever the others are."""
    return min(float(field.marginal(labels[at], at)) for at in range(first, last + 1))


def _blank(reference: re.Match[str]) -> str:
    """As long, so that places stay."""
    return " " * len(reference.group())


def tokenize(text: str) -> list[re.Match[str]]:
    """Runs of letters, runs of figures, line ends, and every other sign alone."""
    return list(_TOKEN.finditer(text))


def spans(labels: Sequence[str]) -> list[tuple[int, int, str]]:
    """(first, last, kind) of labels such as `B-PERSON`, `I-PERSON`, `O`."""
    found: list[tuple[int, int, str]] = []
    for at, label in enumerate(labels):
        place, _, kind = label.partition("-")
        if place == "I" and found and found[-1][1] == at - 1 and found[-1][2] == kind:
            found[-1] = (found[-1][0], at, kind)
        elif place != OUTSIDE:
            found.append((at, at, kind))
    return found


class Features:
    """What the model is told of each word."""

    def __init__(self, gazetteer: Gazetteer) -> None:
        self._gazetteer = gazetteer
        self._word = lru_cache(_REMEMBERED)(self._of_word)

    def of(self, tokens: Sequence[re.Match[str]]) -> list[list[str]]:
        """Features of each, in order."""
        told = [self._word(token.group()) for token in tokens]
        last = len(told) - 1
        rows = []
        for at, (own, *_) in enumerate(told):
            row = list(own)
            if at > 0:
                row += told[at - 1][1]
            else:
                row.append("-1:^")
            if at > 1:
                row += told[at - 2][3]
            if at < last:
                row += told[at + 1][2]
            else:
                row.append("+1:$")
            if at < last - 1:
                row += told[at + 2][4]
            shape = own[0]
            row.append(f"{shape}{told[at - 1][1][0] if at else '-1:^'}")
            row.append(f"{shape}{told[at + 1][2][0] if at < last else '+1:$'}")
            rows.append(row)
        return rows

    def _of_word(self, word: str) -> tuple[list[str], list[str], list[str], list[str], list[str]]:
        small = word.lower()
        flags = self._gazetteer.flags(small)
        shape = _shape(word)
        known = f"g={flags}"
        own = [shape, known, f"{shape},{known}"]
        if small in TITLES:
            own.append("title")
        if small in _STREETS:
            own.append("street")
        if small in _UNITS:
            own.append("unit")
        if small in _COMPANIES:
            own.append("company")
        if flags & EVERYDAY or not small[0].isalpha():
            name = f"w={small}" if not small[0].isdecimal() else f"w=#{len(small)}"
        else:
            name = f"w={shape}{flags & (FIRST | LAST | PLACE)}"
        own.append(name)
        if small[0].isalpha() and len(small) > 3:
            own += [f"s2={small[-2:]}", f"s3={small[-3:]}"]
            if len(small) > 5:
                own.append(f"s4={small[-4:]}")
        lists = [each for each in own[3:] if each in ("title", "street", "unit", "company")]
        near = [name, f"{shape},{known}", *lists]
        far = [name, shape, *lists]
        return (
            own,
            [f"-1:{each}" for each in near],
            [f"+1:{each}" for each in near],
            [f"-2:{each}" for each in far],
            [f"+2:{each}" for each in far],
        )


def _shape(word: str) -> str:
    first = word[0]
    if first.isdecimal():
        return f"0x{min(len(word), 6)}"
    if not first.isalpha():
        return "\\n" if word == "\n" else "."
    if len(word) == 1:
        return "X" if first.isupper() else "x"
    if word.isupper():
        return "XX"
    if first.isupper():
        return "Xx"
    return "xx" if word.islower() else "xX"
