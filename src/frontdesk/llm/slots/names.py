"""Names of persons: introduced ("my name is …"), or the bare answer to the question."""

import re

from frontdesk.llm.slots.calendar_words import MONTHS, WEEKDAYS
from frontdesk.llm.slots.lexicon import FILLERS, NO, YES, is_cancel
from frontdesk.llm.slots.text import Mention, fold, word_set, words

_LETTERS = r"[^\W\d_][^\W\d_'’.\-]*(?:['’\-][^\W\d_]+)*\.?"
_NAME = rf"(?P<name>{_LETTERS}(?:\s+{_LETTERS}){{0,4}})"
# After these a name follows, however it is written.
_STRONG = re.compile(
    r"(?:my\s+(?:full\s+)?name(?:'s|’s|\s+is|:)|(?:the\s+)?name\s+is|(?:patient|full|first)?\s*name\s*:|i\s+am\s+called|call\s+me|"
    r"under\s+the\s+name(?:\s+of)?|in\s+the\s+name\s+of|"
    r"me\s+llamo|mi\s+nombre(?:\s+completo)?\s+es|nombre\s*:|a\s+nombre\s+de|"
    r"ich\s+hei(?:ß|ss)e|mein\s+name\s+(?:ist|lautet)|auf\s+den\s+namen|name\s+ist|"
    r"je\s+m['’]appelle|mon\s+nom\s+(?:complet\s+)?est|nom\s*:|au\s+nom\s+de|"
    r"meu\s+nome(?:\s+completo)?\s+[ée]|(?:eu\s+)?me\s+chamo|chamo-me|em\s+nome\s+de|nome\s*:|"
    r"nama\s+(?:lengkap\s+)?saya(?:\s+adalah)?|atas\s+nama|nama\s*:)\s+" + _NAME,
    re.IGNORECASE,
)
# After these it may be anything ("I'm sick"): only words with a capital count.
_WEAK = re.compile(
    r"\b(?:[Ii]['’]m|[Ii] am|[Tt]his is|[Ii]t['’]s|[Nn]ame['’]s|"
    r"[Ss]oy|[Ii]ch bin|[Hh]ier ist|[Hh]ier spricht|[Jj]e suis|[Cc]['’]est|"
    r"(?:[Ee]u )?[Ss]ou (?:[oa] )?|[Aa]qui [ée] (?:[oa] )?|[Ss]aya|[Dd]engan)\s+" + _NAME
)
_SIGNED = re.compile(
    rf"(?:regards|cheers|thanks|thank you|saludos|gr(?:ü|u)(?:ß|ss)e?|cordialement|abraços?),?\s*\n\s*{_NAME}\s*$",
    re.IGNORECASE,
)
_PARTICLES = word_set("de da do dos das del della di la le van von der den zu bin binti al el y e ibn mac mc o st")
_NOT_NAMES = (
    FILLERS | YES | NO | frozenset(WEEKDAYS) | frozenset(MONTHS)
    | word_set(
        "not sorry sick ill here fine good happy looking trying calling writing going having interested new sure "
        "afraid "
        "pregnant diabetic allergic available free busy unable able late wondering unsure done ready back also just "
        "quite very really so too still only about your our his her their patient mother father wife husband son "
        "daughter "
        "who what when where why how which because since but or if as with for and next tomorrow today "
        "what's i'll i've we they he she this that my "
        "que quien cuando donde como pero porque y un una paciente alergico alergica enfermo enferma embarazada "
        "und aber oder krank schwanger allergisch nicht auch weil sehr patient patientin "
        "et mais ou malade enceinte allergique pas aussi tres "
        "mas doente gravida alergico paciente tambem "
        "dan tapi atau sakit hamil tidak juga akan sudah ingin mau butuh perlu punya"
    )
)  # fmt: skip
_TITLES = word_set("mr mrs ms miss dr prof herr frau senor senora sr sra monsieur madame m mme bapak ibu pak bu dona")


def find_names(text: str) -> list[Mention[str]]:
    """Names that the text introduces, in order."""
    found = [_named(match, capital=False) for match in _STRONG.finditer(text)]
    found += [_named(match, capital=True) for match in _WEAK.finditer(text)]
    found += [_named(match, capital=True) for match in _SIGNED.finditer(text)]
    return sorted((hit for hit in found if hit is not None), key=lambda hit: hit.start)


def bare_name(text: str) -> str | None:
    """The name in a message that is the answer to "what is your name?": it alone, with at most polite words around."""
    if is_cancel(text) or "?" in text or any(char.isdecimal() for char in text) or "@" in text:
        return None
    parts = words(text)
    while parts and fold(parts[0].text) in FILLERS - _PARTICLES:
        parts = parts[1:]
    while parts and fold(parts[-1].text) in FILLERS:
        parts = parts[:-1]
    if not 1 <= len(parts) <= 5:
        return None
    folded = [fold(part.text).rstrip(".") for part in parts]
    if any(word in _NOT_NAMES and word not in _PARTICLES for word in folded) or all(
        word in _PARTICLES | _TITLES for word in folded
    ):
        return None
    if len(parts) > 3 and not all(
        part.text[0].isupper() or word in _PARTICLES for part, word in zip(parts, folded, strict=True)
    ):
        return None
    return _written(text[parts[0].start : parts[-1].end])


def _named(match: re.Match[str], *, capital: bool) -> Mention[str] | None:
    """The words of the match that are the name: up to the first word that is none."""
    start = match.start("name")
    end = start
    for taken, word in enumerate(words(match["name"])):
        folded = fold(word.text).rstrip(".")
        particle = folded in _PARTICLES and taken > 0
        if (folded in _NOT_NAMES and not particle) or (
            not particle and not word.text[0].isupper() and (capital or taken >= 2)
        ):
            break
        if taken and not particle and word.text[0].islower() and match["name"][0].isupper():
            break  # "my name is Anna and": the name is over where the capitals end
        end = start + word.end if not particle else end
        if match["name"][word.end : word.end + 1] == "." and len(folded) > 3:
            break
    return Mention(start, end, _written(match.string[start:end])) if end > start else None


def _written(name: str) -> str:
    """As the person wrote it; a name all in small letters gets its capitals."""
    name = " ".join(name.split()).strip(".")
    return (
        name
        if any(char.isupper() for char in name)
        else " ".join(part if part in _PARTICLES else part.capitalize() for part in name.split())
    )
