"""The language of a message, among those that the tenant serves."""

import re
from collections.abc import Sequence

from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Scripts that decide by themselves: first and last code point -> language.
_SCRIPTS = ((0x0600, 0x06FF, "ar"), (0x0900, 0x097F, "hi"))
# Fewer letters or words than these say too little ("Marie Dupont", "0171 2345678"): the messages before decide.
_SHORT_LETTERS, _SHORT_WORDS = 14, 4
_CLEAR = 0.8  # share of probability from which a short text speaks for itself
# Said alone, or nearly so, and of one language only.
_GREETINGS = {
    "en": "hello hi hey thanks thank goodbye",
    "es": "hola gracias buenas buenos adiós",
    "de": "hallo danke guten moin servus tschüss",
    "fr": "bonjour bonsoir salut merci",
    "pt": "olá oi obrigado obrigada bom boa tchau",
    "id": "halo hai selamat terima makasih",
}
_GREETED = {word: language for language, words in _GREETINGS.items() for word in words.split()}
_WORD = re.compile(r"[^\W\d_]+")


class Languages:
    """Detection restricted to a tenant's languages; the first of them where nothing can be told."""

    def __init__(self) -> None:
        """Reads the model: a tenth of a second, 11 MiB."""
        self._identifier = LanguageIdentifier.from_pickled_model(MODEL_FILE, norm_probs=True)

    def detect(self, text: str, languages: Sequence[str], history: Sequence[str] = ()) -> str:
        """ISO 639-1. A short message is of the language of those before it: "ok, 14:30" is of none."""
        if len(languages) <= 1:
            return languages[0] if languages else "en"
        for first, last, language in _SCRIPTS:
            if language in languages and sum(first <= ord(char) <= last for char in text) * 2 > _letters(text) > 0:
                return language
        if _is_short(text) and (greeted := _greeted(text, languages)):
            return greeted
        for said in (text, *reversed(history)):
            if not _is_short(said):
                return self._likeliest(said, languages)[0]
        for said in (text, "\n".join([*history, text])):
            language, share = self._likeliest(said, languages)
            if share >= _CLEAR:
                return language
        return languages[0]

    def _likeliest(self, text: str, languages: Sequence[str]) -> tuple[str, float]:
        """With its share of the probability among `languages`."""
        if not _letters(text):
            return languages[0], 0.0
        ranked = [(str(name), float(share)) for name, share in self._identifier.rank(text) if name in languages]
        whole = sum(share for _, share in ranked)
        return (ranked[0][0], ranked[0][1] / whole) if whole else (languages[0], 0.0)


def _greeted(text: str, languages: Sequence[str]) -> str | None:
    named = (_GREETED.get(word) for word in _WORD.findall(text.lower()))
    return next((language for language in named if language in languages), None)


def _is_short(text: str) -> bool:
    return _letters(text) < _SHORT_LETTERS or len(_WORD.findall(text)) < _SHORT_WORDS


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text)
