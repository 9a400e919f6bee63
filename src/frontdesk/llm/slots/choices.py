"""One of several given values: by its name, another word for it, a typing slip, or its place in a list."""

import re
from collections.abc import Mapping, Sequence

from rapidfuzz.distance import OSA

from frontdesk.llm.slots.lexicon import FILLERS
from frontdesk.llm.slots.text import Mention, fold, one_of, stem, without_overlaps, word_set, words

_ORDINALS = (
    "first 1st primero primera primer erste ersten ersteres premier premiere primeiro primeira pertama",
    "second 2nd segundo segunda zweite zweiten deuxieme seconde segundo kedua",
    "third 3rd tercero tercera tercer dritte dritten troisieme terceiro terceira ketiga",
    "fourth 4th cuarto cuarta vierte vierten quatrieme quarto quarta keempat",
    "fifth 5th quinto quinta funfte funften cinquieme kelima",
)
_PLACE = {word: place for place, names in enumerate(_ORDINALS) for word in names.split()}
_LAST = word_set("last ultimo ultima letzte letzten letztere dernier derniere terakhir")
_ORDINAL = re.compile(rf"(?<!\w)(?:{one_of([*_PLACE, *_LAST])})(?!\w)")
_NUMBER = re.compile(
    r"^\W*(?:(?:number|option|no\.?|nr\.?|#|opcion|numero|nummer|option|opcao|nomor|pilihan)\s*)?(\d{1,2})\W*$"
)

_BARE_WORDS = 3


def find_choices(
    text: str, values: Sequence[str], synonyms: Mapping[str, Sequence[str]], *, asked: bool = False
) -> list[Mention[str]]:
    """Values named in the text, in order. When this was asked for, a part of a name that no other has is enough."""
    folded = fold(text)
    phrases = {phrase: value for value in values for word in synonyms.get(value, ()) if (phrase := _phrase(word))}
    phrases |= {phrase: value for value in values if (phrase := _phrase(value))}
    if not phrases:
        return []
    exact = re.compile(rf"(?<![\w-])(?:{one_of(phrases)})(?:s|es|n|en)?(?![\w-])")
    found = [
        Mention(*match.span(), value)
        for match in exact.finditer(folded)
        if (value := _value_of(match.group(), phrases)) is not None
    ]
    found = found or _misspelt(folded, phrases)
    if not found and asked:
        found = _by_part(folded, phrases)
    return without_overlaps(found)


def pick(text: str, options: Sequence[str]) -> str | None:
    """The option that the message means ("the second", "2", "14:30", "the one with Dr. Adams"); None when unclear."""
    folded = fold(text)
    if options and (numbered := _NUMBER.match(folded)):
        place = int(numbered[1]) - 1
        exact = [option for option in options if numbered[1] in (word.text for word in words(option))]
        return exact[0] if len(exact) == 1 else options[place] if 0 <= place < len(options) and not exact else None
    named = {hit.value for hit in find_choices(text, options, {}, asked=True)}
    if len(named) == 1:
        return named.pop()
    ordinal = _ORDINAL.search(folded)
    if not named and ordinal and options:
        place = len(options) - 1 if ordinal.group() in _LAST else _PLACE[ordinal.group()]
        return options[place] if place < len(options) else None
    return None


def _phrase(value: str) -> str:
    return " ".join(re.sub(r"[_\s]+", " ", fold(value)).split())


def _value_of(written: str, phrases: Mapping[str, str]) -> str | None:
    plain = " ".join(written.split())
    return next(
        (phrases[form] for ending in ("", "es", "en", "s", "n") if (form := plain.removesuffix(ending)) in phrases),
        None,
    )


def _misspelt(folded: str, phrases: Mapping[str, str]) -> list[Mention[str]]:
    """Phrases of five letters and more with one slip, of nine and more with two."""
    parts = words(folded)[:60]
    found: list[Mention[str]] = []
    for phrase, value in phrases.items():
        allowed = 0 if len(phrase) < 5 else 1 if len(phrase) < 9 else 2
        count = len(phrase.split())
        for first in range(len(parts) - count + 1 if allowed else 0):
            start, end = parts[first].start, parts[first + count - 1].end
            if abs(end - start - len(phrase)) <= allowed and folded[start] == phrase[0]:
                distance = OSA.distance(folded[start:end], phrase, score_cutoff=allowed)
                if distance <= allowed:
                    found.append(Mention(start, end, value))
    return found


def _by_part(folded: str, phrases: Mapping[str, str]) -> list[Mention[str]]:
    """Values that alone have a word which the text has too; of a text that says little else."""
    said = [word for word in words(folded) if word.text not in FILLERS]
    if len(said) > _BARE_WORDS:
        return []
    owners: dict[str, set[str]] = {}
    for phrase, value in phrases.items():
        for word in words(phrase):
            if len(word.text) > 2 and word.text not in FILLERS:
                owners.setdefault(stem(word.text), set()).add(value)
    return [
        Mention(word.start, word.end, next(iter(values)))
        for word in said
        if len(word.text) > 2 and len(values := owners.get(stem(word.text), set())) == 1
    ]
