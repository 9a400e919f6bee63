"""The router's own questions, in the contact's language."""

from collections.abc import Sequence

_WHICH = {
    "en": "Just to be sure: is this about {options}?",
    "es": "Para asegurarme: ¿se trata de {options}?",
    "de": "Damit ich Sie richtig verstehe: Geht es um {options}?",
    "fr": "Pour être sûr de bien comprendre : s'agit-il de {options} ?",
    "pt": "Só para ter a certeza: trata-se de {options}?",
    "id": "Untuk memastikan: apakah ini tentang {options}?",
}
_OR = {"en": "or", "es": "o", "de": "oder", "fr": "ou", "pt": "ou", "id": "atau"}


def which(titles: Sequence[str], language: str) -> str:
    word = _OR.get(language, _OR["en"])
    options = f", {word} ".join([", ".join(titles[:-1]), titles[-1]]) if len(titles) > 2 else f" {word} ".join(titles)
    return _WHICH.get(language, _WHICH["en"]).format(options=options)
