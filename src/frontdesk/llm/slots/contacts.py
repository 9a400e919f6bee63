"""E-mail addresses, telephone numbers and web addresses in a text."""

import re

import phonenumbers

from frontdesk.llm.slots.text import Mention, fold

_EMAIL = re.compile(
    r"(?<![\w.+-])[A-Za-z0-9](?:[A-Za-z0-9._%+-]{0,62}[A-Za-z0-9_%+-])?@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.){1,4}[A-Za-z]{2,24}(?![\w@-])"
)
_URL = re.compile(r"https?://[^\s<>\"')\]]{1,500}[^\s<>\"')\].,!?;:]", re.IGNORECASE)
_DIGITS = re.compile(r"(?<!\w)(?:\+|00)?\(?\d[\d\s().\-/]{4,22}\d(?!\w)")
_DATE = re.compile(r"^\d{4}-\d{1,2}-\d{1,2}|^\d{1,2}[./-]\d{1,2}[./-](?:\d{4}|\d{2})\b")
# Said just before a number: it is one to call, whatever country we think it is from.
_CALLED = re.compile(
    r"\b(?:(?:tele)?phone|mobile|cell|tel|(?:call|reach|ring)\s+me|my\s+number|telefono|movil|celular|mi\s+numero|telefon|"
    r"handy|rufnummer|meine\s+nummer|telephone|portable|mon\s+numero|telefone|telemovel|meu\s+numero|telepon|hp|"
    r"nomor\s+saya)\b[^\d\n]{0,20}$"
)
_SHORTEST_CALLED = 7
# Alone between commas: an order number is rarely written so, a telephone number is.
_BEFORE_ALONE, _AFTER_ALONE, _SHORTEST_ALONE = re.compile(r"(?:^|[,;\n])\s*$"), re.compile(r"\s*(?:$|[,;\n.])"), 9
# Where a number without a country code is from, by the contact's language, unless the deployment says it.
_REGION = {"en": "US", "es": "ES", "de": "DE", "fr": "FR", "pt": "BR", "id": "ID", "it": "IT", "nl": "NL", "hi": "IN"}


def find_emails(text: str) -> list[Mention[str]]:
    return [Mention(*match.span(), match.group()) for match in _EMAIL.finditer(text)]


def find_urls(text: str) -> list[Mention[str]]:
    return [Mention(*match.span(), match.group()) for match in _URL.finditer(text)]


def find_phones(text: str, language: str, region: str | None = None, *, asked: bool = False) -> list[Mention[str]]:
    """Valid numbers in E.164. When a number was asked for, or is said to be one, another run of 6 to 15 figures counts
    too, as it was given: an extension or a number of a country that we guessed wrong."""
    country = region or _REGION.get(language, "US")
    found = [
        Mention(match.start, match.end, phonenumbers.format_number(match.number, phonenumbers.PhoneNumberFormat.E164))
        for match in phonenumbers.PhoneNumberMatcher(text, country)
        if not _DATE.match(match.raw_string)
    ]
    if found:
        return found
    for match in _DIGITS.finditer(text):
        written = match.group()
        digits = "".join(char for char in written if char.isdecimal() and char.isascii())
        before = fold(text[: match.start()])
        is_called = len(digits) >= _SHORTEST_CALLED and _CALLED.search(before)
        is_alone = (
            len(digits) >= _SHORTEST_ALONE
            and before.strip()
            and _BEFORE_ALONE.search(before)
            and _AFTER_ALONE.match(text, match.end())
        )
        if (asked or is_called or is_alone) and 6 <= len(digits) <= 15 and not _DATE.match(written):
            found.append(Mention(*match.span(), ("+" if written.startswith("+") else "") + digits))
    return found
