"""Hand-written phrases of emergencies and of what only sounds like one, written out into texts to learn from.

Files of `phrases/`, some a language: `<language>.txt`, `daily-<language>.txt`, … `# …` is a remark, `$name = a|b` a
set, `+ kind` and `- kind` begin emergencies and harmless texts of a kind (`- kind 100`: up to so many texts of each
phrase); every other line is a phrase: `(a|b)` is one of both, `[a|b]` one of both or nothing, `$name` one of the set.
Groups may stand in groups. Texts are drawn with a seed: the same phrases give the same texts. Many come once more
beside everyday talk, because people tell a story before the danger, and around what only sounds like it.
"""

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

FOLDER = Path(__file__).parent / "phrases"

DRAWN = 8  # texts of one phrase, as far as it has so many and its kind says no other number
MISSPELT = 0.25  # share of the texts that come once more with a mistake
BESIDE_TALK = 0.5  # share of the texts that come once more with everyday talk before or after
TALK = ("daily", "everyday")  # kinds
_BEFORE = 0.6  # share of that talk that stands before
_JOINTS = (". ", ", ", " ", " - ")
_SHORTEST_TYPO = 4  # letters of a word that may be misspelt

_SET = re.compile(r"\$(\w+) = (.+)")
_NAME = re.compile(r"\$(\w+)")
_HEADING = re.compile(r"([+-]) (.+?)(?: (\d+))?")
_INNERMOST = re.compile(r"[(\[]([^()\[\]]*)[)\]]")


class Text(msgspec.Struct, frozen=True):
    """A text, whether a person is in danger in it, and the kind of either."""

    text: str
    is_emergency: bool
    kind: str


class BadPhrase(ValueError):
    """A phrase that its notation does not allow. Says which."""


def texts(folder: Path = FOLDER) -> list[Text]:
    """The texts of every language, some of them misspelt or beside talk. Raises BadPhrase."""
    languages: dict[str, list[Text]] = {}
    for path in sorted(folder.glob("*.txt")):
        language = path.stem.rpartition("-")[2]
        languages.setdefault(language, []).extend(_of_file(path.read_text(encoding="utf-8")))
    return [text for own in languages.values() for text in (*own, *_beside_talk(own))]


def _beside_talk(texts: Sequence[Text]) -> Iterator[Text]:
    """Some texts of a language once more, everyday talk of that language before or after.

    Talk stands beside talk too: else long texts would be dangerous for being long.
    """
    chance = random.Random(len(texts))
    talk = [text.text for text in texts if text.kind in TALK]
    for text in texts:
        if talk and chance.random() < BESIDE_TALK:
            pair = [chance.choice(talk), text.text]
            if chance.random() >= _BEFORE:
                pair.reverse()
            yield Text(chance.choice(_JOINTS).join(pair), text.is_emergency, text.kind)


def _of_file(source: str) -> Iterator[Text]:
    chance = random.Random(source[:64])
    sets: dict[str, list[str]] = {}
    heading: tuple[bool, str, int] | None = None
    for line in map(str.strip, source.splitlines()):
        if not line or line.startswith("#"):
            continue
        if found := _SET.fullmatch(line):
            sets[found[1]] = found[2].split("|")
        elif found := _HEADING.fullmatch(line):
            heading = (found[1] == "+", found[2], int(found[3] or DRAWN))
        elif heading is None:
            raise BadPhrase(f"No kind stands above the phrase: {line}")
        else:
            is_emergency, kind, most = heading
            for drawn in _drawn(line, sets, chance, most):
                yield Text(drawn, is_emergency, kind)
                if chance.random() < MISSPELT:
                    yield Text(_misspelt(drawn, chance), is_emergency, kind)


def _drawn(phrase: str, sets: Mapping[str, Sequence[str]], chance: random.Random, most: int) -> list[str]:
    """At most `most` different texts of a phrase."""
    found = sorted({_written_out(phrase, sets, chance) for _ in range(most * 3)})
    return chance.sample(found, min(most, len(found)))


def _written_out(phrase: str, sets: Mapping[str, Sequence[str]], chance: random.Random) -> str:
    def one_of_set(name: re.Match[str]) -> str:
        if name[1] not in sets:
            raise BadPhrase(f"No set is called ${name[1]}: {phrase}")
        return f"({'|'.join(sets[name[1]])})"

    while _NAME.search(phrase):
        phrase = _NAME.sub(one_of_set, phrase)
    while group := _INNERMOST.search(phrase):
        choices = group[1].split("|")
        is_left_out = group[0].startswith("[") and chance.random() < 0.5
        chosen = "" if is_left_out else chance.choice(choices)
        phrase = phrase[: group.start()] + chosen + phrase[group.end() :]
    if re.search(r"[()\[\]|]", phrase):
        raise BadPhrase(f"A group is not closed, or stands nowhere: {phrase}")
    return re.sub(r"\s+([,?.!،؟।])", r"\1", " ".join(phrase.split())).strip(" ,")


def _misspelt(text: str, chance: random.Random) -> str:
    """One word with a letter left out, doubled, or swapped with the next; short words stay."""
    words = text.split(" ")
    places = [at for at, word in enumerate(words) if len(word) >= _SHORTEST_TYPO]
    if not places:
        return text
    at = chance.choice(places)
    word = words[at]
    cut = chance.randrange(1, len(word) - 1)
    words[at] = chance.choice([
        word[:cut] + word[cut + 1 :],
        word[:cut] + word[cut] + word[cut:],
        word[:cut] + word[cut + 1] + word[cut] + word[cut + 2 :],
    ])  # fmt: skip
    return " ".join(words)
