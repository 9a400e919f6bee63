"""Personal data that its form gives away: addresses of the net, cards, accounts, telephones, and what a word names."""

import re
from collections.abc import Callable, Iterable, Iterator

import phonenumbers

from frontdesk.privacy import checksums, national_ids
from frontdesk.privacy.models import Entity, Finding
from frontdesk.privacy.signs import Sign

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w](?:[\w.%+'-]{0,62}[\w%+-])?@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,5}[^\W\d_]{2,24}(?![\w@]|-\w)"
)
# A dot alone makes no address of the net ("end.of", "v2.beta"): with no scheme before it, one of these is behind it.
_DOMAINS = "com|org|net|edu|gov|info|biz|io|eu|co|de|fr|es|it|nl|pt|br|uk|us|ca|au|in|id|mx|ch|at|be|se|no|dk|fi|pl"
_URL = re.compile(
    r"(?:https?|ftp)://[^\s<>\"'|)\]]{1,2000}|(?<![\w@.-])(?:www\.[\w-]+|[a-z0-9-]{2,63})"
    rf"(?:\.[a-z0-9-]{{2,63}}){{0,3}}\.(?:{_DOMAINS})\b(?:/[^\s<>\"'|)\]]*)?(?!@)",
    re.IGNORECASE,
)
_URL_TAIL = ".,!?;:"
_OCTET = r"(?:25[0-5]|2[0-4]\d|1?\d?\d)"
_IPV4 = re.compile(rf"(?<![\w.-]){_OCTET}(?:\.{_OCTET}){{3}}(?![\w-]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?:[0-9a-f]{1,4}:){1,7}(?:(?::[0-9a-f]{1,4}){1,6}|:|[0-9a-f]{1,4})(?![\w:])", re.IGNORECASE
)
_CARD = re.compile(
    r"(?<![\w.+-])(?<![A-Z]{2}\d\d )"
    r"(?:\d{12,19}|\d{4}([ -])\d{4}\1\d{4}\1\d{1,7}|\d{4}([ -])\d{6}\2\d{4,5})(?!\w)"
)
_IBAN = re.compile(r"(?<!\w)[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}(?!\w)", re.IGNORECASE)
_IBAN_COUNTRY = re.compile(
    r"A[DELOTZ]|B[AEGHJRY]|C[HIMRVYZ]|D[EJKZ]|E[EGS]|F[IKOR]|G[BEILRT]|H[NRU]|I[ELQRST]|JO|K[MWZ]|L[BCITUVY]|M[CDEGKLNRTUZ]|"
    r"N[EILO]|OM|P[KLST]|QA|R[OSU]|S[ACDEIKMNOTV]|T[DGLNR]|UA|V[AG]|XK|YE",
    re.IGNORECASE,
)
_FIGURES = re.compile(
    r"(?<![\w/])(?:\+|\(\+?)?\d(?:[ ().\-/\u00a0]{0,3}\d){5,16}(?: ?(?:x|ext\.?|#) ?\d{1,6})?(?!\w)", re.IGNORECASE
)
_DAY = re.compile(r"\d{1,4}([./-])\d{1,2}\1\d{1,4}|\d{4}-\d{2}-\d{2}.*|(?:19|20)\d\d ?- ?(?:19|20)\d\d")
_CALLED = re.compile(
    r"(?:phone|mobile|\bcell|\btel\b|\btel[.:]|\bfax\b|\bcall|reach\s+(?:me|us|him|her|them)|\bring\b|\btext\s+(?:me|him|her)|whatsapp|"
    r"\bsms\b|answering\s+at|contact\s+(?:me|us|him|her|number)|"
    r"tel[eé]fono|m[oó]vil|celular|ll[aá]m|telefon|\bhandy|rufnummer|\banruf|t[eé]l[eé]phone|portable|appel|joign|telefone|"
    r"telem[oó]vel|\bligu|telepon|nomor\s+hp|\bhp\b|cellulare|chiama|\bbel\b)\W",
    re.IGNORECASE,
)  # fmt: skip
_NUMBERS_OF_THINGS = re.compile(
    r"(?:order|ticket|invoice|tracking|case|reference|ref|booking|confirmation|article|item|serial|model|flight|account|zip|postal|"
    r"pedido|factura|bestell\w*|rechnung\w*|auftrag\w*|sendung\w*|commande|facture|encomenda|fatura|pesanan|ordine)\W",
    re.IGNORECASE,
)
_GROUPED = re.compile(r"[ ().\-/]")
# Where a number with no country code may be from: written in groups and valid in one of these, it is one to call.
_REGIONS = ("US", "GB", "DE", "FR", "ES", "BR", "ID", "IN", "IT", "NL", "AU", "MX")
_SHORTEST_PHONE, _LONGEST_PHONE = 7, 15
_SHORTEST_UNCALLED = 9  # figures
_CALLED_AFTER = re.compile(
    r"[\s\W]{0,4}(?:office|fax|mobile|cell|home|work|tel|phone|b[üu]ro|casa|bureau|privat)", re.IGNORECASE
)
_BLOT = "\0"
_NEAR = 40  # characters before a number in which what it is may be said

_MONTHS = (
    r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|ene|abr|ago|dic|m[äa]r|mai|okt|dez|janv|f[ée]vr?|avr|juin|juil|ao[ûu]t|d[ée]c|"
    r"fev|set|out|mei|agu|des|gen|mag|giu|lug|ott)[^\W\d_]*\.?"
)
_DATE = (
    rf"(?:\d{{1,2}}(?:st|nd|rd|th|\.|º)?(?:\s+(?:of|de|di|do))?\s+{_MONTHS}(?:\s+(?:of|de|do))?,?\s+(?:19|20)?\d\d|"
    rf"{_MONTHS}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+(?:19|20)?\d\d|\d{{4}}[-/.]\d{{1,2}}[-/.]\d{{1,2}}|"
    r"\d{1,2}\s?[-/.]\s?\d{1,2}\s?[-/.]\s?(?:19|20)?\d\d|(?:19|20)\d\d(?=\W|$))"
)
_BIRTH = (
    r"(?:\bborn\b|\bdob\b|d\.o\.b\.?|date[\s_]+of[\s_]+birth|birth[\s_-]*(?:date|day)|\bnac[ií]\b|nacid[oa]|nacimiento|geboren|"
    r"\bgeb\.|geburts(?:datum|tag)|\bn[ée]e?\b\s+le|naissance|\bnasci(?:d[oa])?\b|nascimento|\blahir\b|nat[oa]\s+il|nascita|geboortedatum)"
)
_BORN = re.compile(
    rf"{_BIRTH}(?!(?<=\bborn)\s+and)"
    rf"(?:[\s:,=\"-]|(?:is|was|on|in|the|it's|my|ist|war|am|der|es|el|fue|est|le|a|em|no|dia|d[ií]a|adalah|tanggal|pada|il|op|saya)\b){{0,8}}(?P<date>{_DATE})",
    re.IGNORECASE,
)
_CHART = (
    r"(?:\bmrn\b|medical[\s_]+record(?:[\s_]+(?:number|no|nr|id))?|patient[\s_-]*(?:id|number|no|nr)|chart\s+(?:number|no)|hospital\s+number|"
    r"historia\s+cl[ií]nica|n[uú]mero\s+de\s+paciente|patienten\W?(?:nummer|nr|id|akte)|num[ée]ro\s+de\s+(?:dossier|patient)|"
    r"prontu[aá]rio|n[uú]mero\s+do\s+(?:utente|paciente)|nomor\s+rekam\s+medis|no\.?\s*rm\b|cartella\s+clinica)"
)
_RECORD = re.compile(
    _CHART + r"(?:[\s:.,=#\"]|(?:is|number|no|nr|id|ist|lautet|es|est|[ée]|adalah|for\s+me|my)\b){0,6}"
    r"(?P<number>[A-Z]{0,4}[-/ ]?\d[A-Z0-9/-]{2,14})(?!\w)",
    re.IGNORECASE,
)

_POST = (
    r"(?:\bzip(?:\s*code)?|post(?:al)?\s*code|c[óo]digo\s+postal|code\s+postal|\bplz|postleitzahl|\bcep|\bcap|"
    r"kode\s*pos)\b"
)
_POSTCODE = re.compile(
    _POST + r"(?:[\s:#=\"]|(?:is|ist|es|est|[ée]|my|adalah)\b){1,6}"
    r"(?P<code>\d{3,6}(?:-\d{3,4})?|[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}|\d{4} ?[A-Z]{2})(?!\w)",
    re.IGNORECASE,
)
_SAYS_BORN, _SAYS_CHART, _SAYS_POSTCODE = Sign(_BIRTH), Sign(_CHART), Sign(_POST)


def find(text: str) -> list[Finding]:
    """All of them, in the order of how sure their form is; some may overlap."""
    has_figures = any(map(str.isdecimal, text))
    found = [*_emails(text), *_urls(text)]
    if has_figures:
        for finder in _WITH_FIGURES:
            found += finder(text)
        found += _phones(_without(text, found))
    return found


def _without(text: str, found: Iterable[Finding]) -> str:
    """The text with what was found blotted out, so that a number behind it is not read as its end."""
    for each in found:
        text = f"{text[: each.start]}{_BLOT * (each.end - each.start)}{text[each.end :]}"
    return text


def _emails(text: str) -> Iterator[Finding]:
    if "@" in text:
        for match in _EMAIL.finditer(text):
            yield Finding(Entity.EMAIL, *match.span())


def _urls(text: str) -> Iterator[Finding]:
    if "." in text or "://" in text:
        for match in _URL.finditer(text):
            tail = len(match.group()) - len(match.group().rstrip(_URL_TAIL))
            if match.end() >= len(text) or text[match.end()] != "@":
                yield Finding(Entity.URL, match.start(), match.end() - tail)


def _ips(text: str) -> Iterator[Finding]:
    for match in _IPV4.finditer(text):
        yield Finding(Entity.IP, *match.span())
    if text.count(":") > 1:
        for match in _IPV6.finditer(text):
            if match.group().count(":") == 7 or "::" in match.group():
                yield Finding(Entity.IP, *match.span())


def _ibans(text: str) -> Iterator[Finding]:
    for match in _IBAN.finditer(text):
        if not _IBAN_COUNTRY.match(match.group()):
            continue
        # A word may follow the number: the longest start of it whose check holds.
        for end in range(match.end(), match.start() + 14, -1):
            part = text[match.start() : end]
            bare = part.replace(" ", "").upper()
            if not part[-1].isspace() and 15 <= len(bare) <= 34 and checksums.iban(bare):
                yield Finding(Entity.IBAN, match.start(), end)
                break
        else:
            if "iban" in text[max(0, match.start() - _NEAR) : match.start()].lower():  # mistyped, but meant
                yield Finding(Entity.IBAN, *match.span())


def _cards(text: str) -> Iterator[Finding]:
    for match in _CARD.finditer(text):
        digits = "".join(filter(str.isdecimal, match.group()))
        if digits[0] in "1234569" and len(set(digits)) > 1 and checksums.luhn(digits):
            yield Finding(Entity.CARD, *match.span())


def _national_ids(text: str) -> Iterator[Finding]:
    for start, end in national_ids.find(text):
        yield Finding(Entity.NATIONAL_ID, start, end)


def _births(text: str) -> Iterator[Finding]:
    if _SAYS_BORN.is_in(text):
        for match in _BORN.finditer(text):
            yield Finding(Entity.DATE_OF_BIRTH, *match.span("date"))


def _records(text: str) -> Iterator[Finding]:
    if _SAYS_CHART.is_in(text):
        for match in _RECORD.finditer(text):
            yield Finding(Entity.MEDICAL_RECORD, *match.span("number"))


def _postcodes(text: str) -> Iterator[Finding]:
    if _SAYS_POSTCODE.is_in(text):
        for match in _POSTCODE.finditer(text):
            yield Finding(Entity.ADDRESS, *match.span("code"))


def _phones(text: str) -> Iterator[Finding]:
    for match in _FIGURES.finditer(text):
        written = match.group()
        figures = "".join(filter(str.isdecimal, re.split(r"(?i)x|ext|#", written)[0]))
        if not _SHORTEST_PHONE <= len(figures) <= _LONGEST_PHONE or _DAY.fullmatch(written):
            continue
        before = text[max(0, match.start() - _NEAR) : match.start()]
        if _CALLED_AFTER.match(text, match.end()) or _is_phone(written, figures, before):
            yield Finding(Entity.PHONE, *match.span())


def _is_phone(written: str, figures: str, before: str) -> bool:
    if written.startswith(("+", "(+", "00")) and len(figures) > 8:
        return True
    called = list(_CALLED.finditer(before))
    thing = list(_NUMBERS_OF_THINGS.finditer(before))
    if called and (not thing or called[-1].start() > thing[-1].start()):
        return True
    if (
        thing
        or len(figures) < _SHORTEST_UNCALLED
        or not _GROUPED.search(written.strip("()"))
        or (written.count(".") == 1 and "-" not in written)
    ):
        return False
    return any(_is_valid(written, region) for region in _REGIONS)


def _is_valid(written: str, region: str) -> bool:
    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(written, region))
    except phonenumbers.NumberParseException:
        return False


_WITH_FIGURES: tuple[Callable[[str], Iterator[Finding]], ...] = (
    _ibans, _cards, _births, _records, _national_ids, _ips, _postcodes,
)  # fmt: skip
