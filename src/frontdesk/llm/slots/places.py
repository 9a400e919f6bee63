"""Places and titles: proper names in the text, with the preposition that they stand behind."""

import re

from frontdesk.llm.slots.calendar_words import MONTHS, RELATIVE_DAYS, WEEKDAYS
from frontdesk.llm.slots.lexicon import FILLERS, NO, YES
from frontdesk.llm.slots.text import Mention, fold, overlaps, words

_AT = "at|im|am|bei"
_IN = "in|near|around|within|inside|en|cerca de|nahe|a|au|aux|dans|pres de|em|no|na|perto de|di|dekat"
_FROM = "from|leaving|departing|out of|desde|von|ab|aus|depuis|dari|saindo de|partant de"
_TO = "to|towards|into|for|visit|hacia|a|nach|zu|zum|zur|vers|para|ate|ke|menuju"
_PREPOSITION = re.compile(rf"(?<!\w)(?:(?P<origin>{_FROM})|(?P<target>{_TO})|(?P<place>{_IN})|(?P<site>{_AT}))\s+(?:the\s+|la\s+|el\s+|le\s+)?$")
_INNER = frozenset("de del la le les los las of the and & y und et e da do dos das di upon van von der 's".split())
_NEVER = frozenset(WEEKDAYS) | frozenset(MONTHS) | frozenset(RELATIVE_DAYS) | YES | NO | frozenset(
    "i i'm i'd i'll i've we you he she they it my please also and but or so then next this that".split()
)  # fmt: skip
_PART = re.compile(r"[^\s,;:!?()\"“”]+")
_QUOTED = re.compile(r"[\"“”«»]([^\"“”«»\n]{2,80})[\"“”«»]")
ORIGIN, TARGET, PLACE, SITE = "start", "end", "in", "at"
_STREET = re.compile(
    r"(?<!\w)\d{1,5}\w?\s+(?:[^\W\d_][\w'.]*\s+){1,4}?(?:street|st|avenue|ave|road|rd|drive|dr|lane|ln|boulevard|blvd|way|court|ct|place|square|highway|parkway)\b\.?"
    r"(?:,?\s+(?:suite|unit|apt|floor|#)\s*#?\w+|\s+#\w+)?",
    re.IGNORECASE,
)


def find_places(text: str, taken: list[Mention[object]]) -> list[Mention[tuple[str, str]]]:
    """(`start` | `end` | `in` | `at` | ``, name) of each street address and each run of words with capitals that
    nothing in `taken` has."""
    folded = fold(text)
    found = []
    streets = [Mention(*match.span(), " ".join(match.group().split())) for match in _STREET.finditer(text)]
    streets = [street for street in streets if not overlaps(street, taken)]
    for run in sorted([*streets, *_runs(text, [*taken, *streets])], key=lambda each: each.start):
        match = _PREPOSITION.search(folded[: run.start])
        role = "" if match is None else ORIGIN if match["origin"] else TARGET if match["target"] else PLACE if match["place"] else SITE
        found.append(Mention(run.start, run.end, (role, run.value)))
    return found


def find_quoted(text: str) -> list[Mention[str]]:
    return [Mention(match.start(1), match.end(1), match[1].strip()) for match in _QUOTED.finditer(text) if match[1].strip()]


def bare_phrase(text: str, taken: list[Mention[object]], limit: int = 6) -> str | None:
    """The message without the polite words around its middle: an answer such as "in san jose please". None when long."""
    parts = [word for word in words(text) if not any(word.start < other.end and other.start < word.end for other in taken)]
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
        elif part.group()[0].isupper() or any(char.isupper() for char in part.group()[:2]) or (part.group()[0].isdecimal() and _address(text, part)):
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
