"""Numbers in figures and in words."""

import re
from functools import cache

from frontdesk.llm.slots.text import Mention, one_of, without_overlaps

# 0 to 20 in order, then the tens from 30; written folded (without accents).
_UNITS = {
    "en": "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen nineteen twenty",
    "es": "cero uno dos tres cuatro cinco seis siete ocho nueve diez once doce trece catorce quince dieciseis "
    "diecisiete dieciocho diecinueve veinte",
    "de": "null eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf dreizehn vierzehn funfzehn sechzehn "
    "siebzehn achtzehn neunzehn zwanzig",
    "fr": "zero un deux trois quatre cinq six sept huit neuf dix onze douze treize quatorze quinze seize dix-sept "
    "dix-huit dix-neuf vingt",
    "pt": "zero um dois tres quatro cinco seis sete oito nove dez onze doze treze catorze quinze dezesseis "
    "dezessete dezoito dezenove vinte",
    "id": "nol satu dua tiga empat lima enam tujuh delapan sembilan sepuluh",
}
_TENS = {
    "en": "twenty thirty forty fifty sixty seventy eighty ninety",
    "es": "veinte treinta cuarenta cincuenta sesenta setenta ochenta noventa",
    "de": "zwanzig dreißig vierzig funfzig sechzig siebzig achtzig neunzig",
    "fr": "vingt trente quarante cinquante soixante",
    "pt": "vinte trinta quarenta cinquenta sessenta setenta oitenta noventa",
    "id": "",
}
_JOINS = {"en": ("-", " "), "es": (" y ",), "fr": ("-", " et ", "-et-", " "), "pt": (" e ",)}
_MORE = {
    "en": {"a couple": 2, "a couple of": 2, "couple of": 2, "a dozen": 12, "a single": 1},
    "es": {"un": 1, "una": 1, "un par": 2, "un par de": 2, "una docena": 12, "veintiuno": 21},
    "de": {"ein": 1, "eine": 1, "einen": 1, "einer": 1, "einem": 1, "zwo": 2, "ein paar": 2, "ein dutzend": 12},
    "fr": {"une": 1, "une douzaine": 12, "une dizaine": 10, "vingt et un": 21},
    "pt": {"uma": 1, "duas": 2, "um par": 2, "uma duzia": 12, "dezasseis": 16, "dezassete": 17, "dezanove": 19},
    "id": {"sebelas": 11, "seratus": 100, "seorang": 1, "sebuah": 1},
}
_FIGURES = re.compile(r"(?<![\w.,:/])[-+]?\d{1,12}(?:([.,])\d{1,6})?(?![\w:/]|[.,]\d)|(?<!\w)\d{1,3}(?=x(?!\w))")
# English says "one" for things too: "the first one", "that one". Those are not numbers.
_PRONOUN = re.compile(r"\b(?:the|that|this|which|any|another|no|each|every|first|second|third|last|next|other)\s+one\b")


@cache  # one table a language, six in all
def number_words(language: str) -> dict[str, int]:
    """Folded number word to value, 0 to 99; those of English for a language that we have no table of."""
    language = language if language in _UNITS else "en"
    units = _UNITS[language].split()
    table = {word: value for value, word in enumerate(units)}
    for rank, ten in enumerate(_TENS[language].split(), start=2):
        table[ten] = rank * 10
        for value, unit in enumerate(units[1:10], start=1):
            if language == "de":
                table[("ein" if value == 1 else unit) + "und" + ten] = rank * 10 + value
            for join in _JOINS.get(language, ()):
                table[ten + join + unit] = rank * 10 + value
    if language == "id":
        for value, unit in enumerate(units[2:10], start=2):
            table[unit + " belas"] = 10 + value
            table[unit + " puluh"] = value * 10
            for more, last in enumerate(units[1:10], start=1):
                table[f"{unit} puluh {last}"] = value * 10 + more
    return table | _MORE[language]


@cache
def number_pattern(language: str) -> str:
    """Figures or a number word of the language, for use inside other patterns."""
    return rf"(?:\d{{1,3}}|{one_of(number_words(language))})"


@cache
def _words_in(language: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w-])(?:{one_of(number_words(language))})(?![\w-])")


def number_value(written: str, language: str) -> int | None:
    """The value of what `number_pattern` matched."""
    if written.isdecimal():
        return int(written)
    return number_words(language).get(" ".join(written.split()))


def find_numbers(folded: str, language: str) -> list[Mention[float]]:
    """Every number, in order. A comma or a point before one or two last figures is the decimal mark."""
    things = [Mention(match.start(), match.end(), 0.0) for match in _PRONOUN.finditer(folded)]
    found: list[Mention[float]] = []
    for match in _FIGURES.finditer(folded):
        written = match.group()
        mark = match.group(1)
        if mark and len(written.rpartition(mark)[2]) == 3:  # 1.200 or 1,200: thousands
            written = written.replace(mark, "")
        found.append(Mention(match.start(), match.end(), float(written.replace(",", "."))))
    for match in _words_in(language).finditer(folded):
        value = number_value(match.group(), language)
        if value is not None and not any(thing.start <= match.start() < thing.end for thing in things):
            found.append(Mention(match.start(), match.end(), float(value)))
    return without_overlaps(found)
