"""Places and titles: proper names in the text, with the preposition that they stand behind."""

import re
from functools import cache

from frontdesk.llm.slots.calendar_words import MONTHS, RELATIVE_DAYS, WEEKDAYS
from frontdesk.llm.slots.lexicon import FILLERS, NO, YES
from frontdesk.llm.slots.text import Mention, fold, overlaps, word_set, words

# By language: before an origin, a destination, a place that something is in, and a site that it is at.
_PREPOSITIONS = {
    "en": ("from|leaving|departing|out of", "to|towards|into|for|visit", "in|near|around|within|inside", "at"),
    "es": ("desde|de", "hacia|a|para", "en|cerca de", "por"),
    "de": ("von|ab|aus", "nach|zu|zum|zur|bis", "in|nahe|um", "bei|im|am"),
    "fr": ("depuis|de", "vers|pour", "a|en|dans|pres de", "au|aux|chez"),
    "pt": ("desde|de|saindo de", "para|ate", "em|no|na|perto de", "ao|a"),
    "id": ("dari", "ke|menuju|untuk", "di|dekat", "pada"),
}
_INNER = word_set("de del la le les los las of the and & y und et e da do dos das di upon van von der 's")
_NEVER = frozenset(WEEKDAYS) | frozenset(MONTHS) | frozenset(RELATIVE_DAYS) | YES | NO | word_set(
    "i i'm i'd i'll i've we you he she they it my please also and but or so then next this that"
)  # fmt: skip
_PART = re.compile(r"[^\s,;:!?()\"“”]+")
_QUOTED = re.compile(r"[\"“”«»]([^\"“”«»\n]{2,80})[\"“”«»]")
ORIGIN, TARGET, PLACE, SITE = "start", "end", "in", "at"
_STREET = re.compile(
    r"(?<!\w)\d{1,5}\w?\s+(?:(?:\d{1,3}(?:st|nd|rd|th)|[^\W\d_][\w'.]*)\s+){1,4}?(?:street|st|avenue|ave|road|rd|drive|dr|lane|ln|boulevard|blvd|way|court|ct|place|square|highway|parkway)\b\.?"
    r"(?:,?\s+(?:suite|unit|apt|floor|#)\s*#?\w+|\s+#\w+)?",
    re.IGNORECASE,
)


@cache
def _preposition(language: str) -> re.Pattern[str]:
    origin, target, place, site = _PREPOSITIONS.get(language, _PREPOSITIONS["en"])
    article = r"(?:the\s+|la\s+|el\s+|le\s+)?"
    return re.compile(
        rf"(?<!\w)(?:(?P<origin>{origin})|(?P<target>{target})|(?P<place>{place})|(?P<site>{site}))\s+{article}$"
    )


def find_streets(text: str) -> list[Mention[str]]:
    """Street addresses ("1775 Park Avenue, Suite 2"), also in small letters."""
    return [Mention(*match.span(), " ".join(match.group().split()).rstrip(".")) for match in _STREET.finditer(text)]


def find_places(
    text: str, streets: list[Mention[str]], taken: list[Mention[object]], language: str
) -> list[Mention[tuple[str, str]]]:
    """(`start` | `end` | `in` | `at` | ``, name) of each of the `streets` and each run of words with capitals that
    nothing in `taken` has."""
    folded = fold(text)
    preposition = _preposition(language)
    found = []
    for run in sorted([*streets, *_runs(text, taken)], key=lambda each: each.start):
        match = preposition.search(folded[: run.start])
        role = (
            (PLACE if run in streets else "")  # an address is a place, whatever stands before it
            if match is None
            else ORIGIN
            if match["origin"]
            else TARGET
            if match["target"]
            else PLACE
            if match["place"]
            else SITE
        )
        found.append(Mention(run.start, run.end, (role, run.value)))
    return found


def find_quoted(text: str) -> list[Mention[str]]:
    return [
        Mention(match.start(1), match.end(1), match[1].strip()) for match in _QUOTED.finditer(text) if match[1].strip()
    ]


def bare_phrase(text: str, taken: list[Mention[object]], limit: int = 6) -> str | None:
    """The message without the polite words around its middle: "in san jose please". None when it is long."""
    parts = [
        word for word in words(text) if not any(word.start < other.end and other.start < word.end for other in taken)
    ]
    while parts and fold(parts[0].text) in FILLERS:
        parts = parts[1:]
    while parts and fold(parts[-1].text) in FILLERS:
        parts = parts[:-1]
    if not 1 <= len(parts) <= limit:
        return None
    return " ".join(text[parts[0].start : parts[-1].end].split())


def _runs(text: str, taken: list[Mention[object]]) -> list[Mention[str]]:
    """Neighbouring words with capitals or figures ("1775 Park Avenue"), small linking words between them included.

    The first word of a sentence has its capital from there: alone it is no name, unless it has another inside (SFO).
    """
    runs: list[Mention[str]] = []
    current: list[re.Match[str]] = []

    def close() -> None:
        while current and fold(current[-1].group()).rstrip(".'") in _INNER:
            current.pop()
        if current:
            start, end = current[0].start(), current[-1].end()
            while end > start and text[end - 1] in ".'’-":
                end -= 1
            opens = not text[:start].strip() or text[:start].rstrip()[-1:] in ".!?\n"
            alone = len(current) == 1 and opens and not any(char.isupper() for char in text[start + 1 : end])
            if end - start > 1 and not alone and any(char.isupper() for char in text[start:end]):
                runs.append(Mention(start, end, " ".join(text[start:end].split())))
        current.clear()

    for part in _PART.finditer(text):
        word = fold(part.group()).strip(".'-")
        mention: Mention[object] = Mention(part.start(), part.end(), None)
        if current and text[current[-1].end() : part.start()].strip():  # a comma or the like lies between
            close()
        if overlaps(mention, taken) or word in _NEVER:
            close()
        elif (
            part.group()[0].isupper()
            or any(char.isupper() for char in part.group()[:2])
            or (part.group()[0].isdecimal() and _address(text, part))
        ):
            opens = not text[: part.start()].strip() or text[: part.start()].rstrip()[-1:] in ".!?"
            if opens and not current and word in FILLERS:
                continue
            current.append(part)
            if part.group().endswith((".", "!", "?")) and len(word) > 3:
                close()
        elif (current and word in _INNER) or (current and part.group()[0].isdecimal()):
            current.append(part)
        else:
            close()
    close()
    return runs


def _address(text: str, part: re.Match[str]) -> bool:
    """A number right before a word with a capital: "1775 Park Avenue"."""
    return bool(re.match(r"\s+[A-Z][a-z]", text[part.end() : part.end() + 4]))
