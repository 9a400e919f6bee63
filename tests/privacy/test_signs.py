"""What is told of a text in one pass keeps nothing from the search that follows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontdesk.privacy import national_ids, patterns
from frontdesk.privacy.signs import Sign

NAMES = [
    "born on ", "Born and raised 1950 ", "née le ", "nació el ", "GEBOREN AM ", "d.o.b. ", "date  of\u00a0birth: ",
    "nascİda em ", "MRN ", "patient-id ", "nº paciente ", "número de\tpaciente ", "chart\vnumber ", "prontuário ",
    "Patienten-Nr ", "ZIP code ", "código postal ", "CEP: ", "kode pos ", "Kimlik ", "KIMLIK ", "kımlık ", "ssn ",
    "SIN ", "passport no ", "cédula ",
]  # fmt: skip
VALUES = [
    "12 May 1980", "1980-05-12", "٣/٤/1980", "4711-A12", "90210", "SW1A 1AA", "123-45-6789", "10 20 30 40 5",
    "12345678Z", "X1234567L", "AB 12 34 56 C", "RSSMRA85T10A562S", "529.982.247-25", "850101-1234", "ABCPK1234L",
    "S1234567D", "12.345.678-5", "١٢٣-٤٥-٦٧٨٩", "10000000146", "ſ1234567d", "756.9217.0769.85",
]  # fmt: skip
SIGNS = [(patterns, name) for name in ("_SAYS_BORN", "_SAYS_CHART", "_SAYS_POSTCODE")] + [
    (national_ids, name) for name in ("_SAYS_NAME", "_HAS_FORM")
]


class Always:
    def is_in(self, text: str) -> bool:
        return True


@given(
    st.lists(st.sampled_from(NAMES) | st.sampled_from(VALUES) | st.text(max_size=6), min_size=1, max_size=6).map(
        "".join
    )
)
def test_whatever_is_found_is_found_behind_its_sign(text: str) -> None:
    found = patterns.find(text)
    with pytest.MonkeyPatch.context() as patch:
        for module, name in SIGNS:
            patch.setattr(module, name, Always())
        assert patterns.find(text) == found


@pytest.mark.parametrize("text", ["a  1", "A\u00a01", "xa\u20031y", "ſa ٣"])
def test_a_sign_is_wider_than_what_it_stands_for(text: str) -> None:
    assert Sign(r"\ba\b\s+\d").is_in(text)


def test_most_texts_show_none() -> None:
    for module, name in SIGNS:
        assert not getattr(module, name).is_in("I would like to come on Monday at 10:30, for an hour and 15 minutes.")
