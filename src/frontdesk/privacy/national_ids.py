"""National identity, tax, social-security and health-insurance numbers of several countries, by form and check digit.

A number whose form says enough (letters, separators, or a check of two figures) counts wherever it stands; one that is
a mere run of figures with a weak check counts after a word that names it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from frontdesk.privacy.checksums import iso7064_11_10, luhn, verhoeff, weighted
from frontdesk.privacy.signs import Sign

Check = Callable[[str], bool]
_SEPARATORS = re.compile(r"[\s.\-/+]")

# Said before a number that is one of identity, in the languages that the product speaks.
# Short ones count in capitals alone: "sin", "nie" and "pan" are words.
_NAMES = (
    r"(?:\bssn\b|social[\s-]security|(?-i:\b(?:SIN|NIN|TIN|TFN|NIE|NIR|RUT|RG|PAN|NIK|AHV|AVS)\b)|\bnino\b|\bnhs\b|"
    r"national\s+(?:id\w*|insurance)|\bid\s*(?:card|number|no|nr)\b|"
    r"identity|passport|driv\w+\s+licen[cs]e|tax\s*(?:id|number|file)|medicare|insurance\s+(?:number|no|id)|"
    r"\bdni\b|\bnif\b|\bcurp\b|\bcuit\b|c[ée]dula|documento|pasaporte|seguridad\s+social|"
    r"ausweis\w*|steuer\W?(?:id\w*|nummer)|reisepass\w*|versicherten\w*|sozialversicherung\w*|"
    r"s[ée]curit[ée]\s+sociale|carte\s+d['’]identit[ée]|passeport|num[ée]ro\s+fiscal|"
    r"\bcpf\b|contribuinte|passaporte|\bbsn\b|burgerservice\w*|codice\s+fiscale|\bpesel\b|personnummer|\bcpr\b|"
    r"aadhaa?r|\bktp\b|paspor|\bnric\b|\btckn\b|kimlik)"
)
NAMED = re.compile(_NAMES, re.IGNORECASE)
# How far before the number its name may stand, in characters.
NEAR = 48


@dataclass(frozen=True)
class Kind:
    """A country's number: its form as a pattern, a check of it without separators, and whether it must be named."""

    name: str
    form: str
    check: Check
    must_be_named: bool = False


def _us_ssn(text: str) -> bool:
    area, group, serial = text[:3], text[3:5], text[5:]
    return area not in ("000", "666") and group != "00" and serial != "0000"


def _uk_nhs(text: str) -> bool:
    check = 11 - weighted(text, range(10, 1, -1), 11)
    return check != 10 and check % 11 == int(text[9])


def _es_dni(text: str) -> bool:
    number = text[:-1].translate(str.maketrans("XYZxyz", "012012"))
    return "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1].upper()


def _fr_nir(text: str) -> bool:
    number = text[:13].upper().replace("2A", "19").replace("2B", "18")
    return number.isdecimal() and 97 - int(number) % 97 == int(text[13:])


def _it_fiscal(text: str) -> bool:
    odd = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                   (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21,
                    2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True))  # fmt: skip
    text = text.upper()
    even = sum(int(char) if char.isdecimal() else ord(char) - 65 for char in text[1:15:2])
    return chr(65 + (sum(odd[char] for char in text[0:15:2]) + even) % 26) == text[15]


def _br_cpf(text: str) -> bool:
    if len(set(text)) == 1:
        return False
    first = weighted(text, range(10, 1, -1), 11)
    second = weighted(text, range(11, 1, -1), 11)
    return int(text[9]) == (11 - first) % 11 % 10 and int(text[10]) == (11 - second) % 11 % 10


def _nl_bsn(text: str) -> bool:
    return int(text) > 0 and (weighted(text[:8], range(9, 1, -1), 11) - int(text[8])) % 11 == 0


def _pl_pesel(text: str) -> bool:
    return weighted(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10) == 0 and _is_day(text[4:6])


def _pt_nif(text: str) -> bool:
    rest = weighted(text[:8], range(9, 1, -1), 11)
    return text[0] in "1235689" and int(text[8]) == (0 if rest < 2 else 11 - rest)


def _fi_hetu(text: str) -> bool:
    number = text[:6] + text[-4:-1]
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(number) % 31] == text[-1].upper() and _is_day(text[:2])


def _no_fnr(text: str) -> bool:
    return (
        weighted(text, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), 11) == 0
        and weighted(text, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11) == 0
    )


def _be_nn(text: str) -> bool:
    return int(text[9:]) in (97 - int(text[:9]) % 97, 97 - int("2" + text[:9]) % 97)


def _ch_ahv(text: str) -> bool:
    return weighted(text, (1, 3) * 6 + (1,), 10) == 0


def _sg_nric(text: str) -> bool:
    text = text.upper()
    total = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2), 11) + (4 if text[0] in "TG" else 3 if text[0] == "M" else 0)
    letters = "JZIHGFEDCBA" if text[0] in "ST" else "XWUTRQPNMLK" if text[0] in "FG" else "KLJNPQRTUWX"
    place = total % 11
    return letters[place if text[0] != "M" else 10 - place] == text[8]


def _mx_curp(text: str) -> bool:
    alphabet = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(alphabet.index(char) * (18 - place) for place, char in enumerate(text.upper()[:17]))
    return text[17].isdecimal() and (10 - total % 10) % 10 == int(text[17])


def _cl_rut(text: str) -> bool:
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(text[:-1])))
    return "0123456789K"[(11 - total % 11) % 11] == text[-1].upper()


def _tr_tckn(text: str) -> bool:
    digits = [int(char) for char in text]
    tenth = (7 * sum(digits[0:9:2]) - sum(digits[1:8:2])) % 10
    return digits[0] != 0 and digits[9] == tenth and digits[10] == sum(digits[:10]) % 10


def _id_nik(text: str) -> bool:
    """Province, city, district, day of birth (women: +40), month, year, serial: no check digit, so it is named."""
    day = int(text[6:8])
    return 11 <= int(text[:2]) <= 96 and 1 <= day % 40 <= 31 and 1 <= int(text[8:10]) <= 12 and text[12:] != "0000"


def _au_tfn(text: str) -> bool:
    return weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10), 11) == 0


def _is_day(text: str) -> bool:
    return 1 <= int(text) % 40 <= 31


def _any(text: str) -> bool:
    return True


KINDS = (
    Kind("US SSN", r"\d{3}-\d{2}-\d{4}", _us_ssn),
    Kind("US SSN, bare", r"\d{3}[ .]?\d{2}[ .]?\d{4}", _us_ssn, must_be_named=True),
    Kind("GB NINO", r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", _any),
    Kind("GB NHS", r"\d{3}[ -]\d{3}[ -]\d{4}", _uk_nhs, must_be_named=True),
    Kind("GB NHS, bare", r"\d{10}", _uk_nhs, must_be_named=True),
    Kind("ES DNI / NIE", r"(?:\d{8}|[XYZ]-?\d{7})-?[A-Z]", _es_dni),
    Kind("FR NIR", r"[12] ?\d{2} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", _fr_nir),
    Kind("DE tax id", r"[1-9]\d ?\d{3} ?\d{3} ?\d{3}", iso7064_11_10, must_be_named=True),
    Kind("IT codice fiscale", r"[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z]", _it_fiscal),
    Kind("BR CPF", r"\d{3}\.?\d{3}\.?\d{3}-?\d{2}", _br_cpf),
    Kind("NL BSN", r"\d{9}|\d{4}[ .]\d{2}[ .]\d{3}", _nl_bsn, must_be_named=True),
    Kind("PL PESEL", r"\d{11}", _pl_pesel, must_be_named=True),
    Kind("PT NIF", r"\d{9}|\d{3} \d{3} \d{3}", _pt_nif, must_be_named=True),
    Kind("SE personnummer", r"(?:19|20)?\d{6}[-+]\d{4}", lambda text: luhn(text[-10:]) and _is_day(text[-6:-4])),
    Kind("FI henkilötunnus", r"\d{6}[-+A]\d{3}[0-9A-Y]", _fi_hetu),
    Kind("DK CPR", r"(?:0[1-9]|[12]\d|3[01])(?:0[1-9]|1[0-2])\d{2}-\d{4}", _any),
    Kind("NO fødselsnummer", r"\d{6} ?\d{5}", _no_fnr),
    Kind("BE national number", r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", _be_nn),
    Kind("CH AHV", r"756\.\d{4}\.\d{4}\.\d{2}|756\d{10}", _ch_ahv),
    Kind("IN Aadhaar", r"[2-9]\d{3}[ -]\d{4}[ -]\d{4}", verhoeff),
    Kind("IN Aadhaar, bare", r"[2-9]\d{11}", verhoeff, must_be_named=True),
    Kind("IN PAN", r"[A-Z]{3}[ABCFGHJLPT][A-Z]\d{4}[A-Z]", _any),
    Kind("SG NRIC", r"[STFGM]\d{7}[A-Z]", _sg_nric),
    Kind("MX CURP", r"[A-Z]{4}\d{6}[HM][A-Z]{5}[0-9A-Z]\d", _mx_curp),
    Kind("CL RUT", r"\d{1,2}\.\d{3}\.\d{3}-(?:\d|K)", _cl_rut),
    Kind("TR TCKN", r"[1-9]\d{10}", _tr_tckn, must_be_named=True),
    Kind("ID NIK", r"\d{16}", _id_nik, must_be_named=True),
    Kind("CA SIN", r"\d{3}[ -]?\d{3}[ -]?\d{3}", luhn, must_be_named=True),
    Kind("AU TFN", r"\d{3} ?\d{3} ?\d{3}", _au_tfn, must_be_named=True),
    # A document of which we know no form: letters and figures right behind the word that names it.
    Kind("named document", r"[A-Z]{0,3}\d[A-Z0-9]{5,11}", _any, must_be_named=True),
)

_FORMS = [(kind, re.compile(rf"(?<![\w.@/-])(?:{kind.form})(?![\w@-]|\.\d)", re.IGNORECASE)) for kind in KINDS]
_SAYS_NAME = Sign(_NAMES)
_HAS_FORM = Sign("|".join(kind.form for kind in KINDS if not kind.must_be_named))


def find(text: str) -> list[tuple[int, int]]:
    """Where in the text such numbers stand; overlapping ones once, the first found."""
    is_named, has_form = _SAYS_NAME.is_in(text), _HAS_FORM.is_in(text)
    if not is_named and not has_form:
        return []
    found: list[tuple[int, int]] = []
    for kind, form in _FORMS:
        if not (is_named if kind.must_be_named else has_form):
            continue
        for match in form.finditer(text):
            if kind.must_be_named and NAMED.search(text, max(0, match.start() - NEAR), match.start()) is None:
                continue
            bare = _SEPARATORS.sub("", match.group())
            if kind.check(bare) and not any(match.start() < end and start < match.end() for start, end in found):
                found.append(match.span())
    return found
