"""The language of a message, among those that the tenant serves."""

from collections.abc import Sequence

from cachetools import LRUCache
from py3langid.langid import MODEL_FILE, LanguageIdentifier

# Scripts that decide by themselves: first and last code point -> language.
_SCRIPTS = ((0x0600, 0x06FF, "ar"), (0x0900, 0x097F, "hi"))
# Fewer letters than this say too little: the message before helps.
_SHORT_LETTERS = 20
_CLEAR = 0.8  # probability from which a short text speaks for itself
_SETS = 64


class Languages:
    """Detection restricted to a tenant's languages; the first of them where nothing can be told."""

    def __init__(self) -> None:
        # One identifier for each set of languages in use: restricting one is done once.
        self._identifiers: LRUCache[tuple[str, ...], LanguageIdentifier] = LRUCache(_SETS)

    def load(self, languages: Sequence[str]) -> None:
        """Reads the model now: a second of CPU, better at the start and off the event loop."""
        self._identifier(tuple(languages))

    def detect(self, text: str, languages: Sequence[str], history: Sequence[str] = ()) -> str:
        """ISO 639-1. A short message is read with the one before it: "ok, 14:30" is of no language."""
        if len(languages) <= 1:
            return languages[0] if languages else "en"
        for first, last, language in _SCRIPTS:
            if language in languages and sum(first <= ord(char) <= last for char in text) * 2 > _letters(text) > 0:
                return language
        if _letters(text) < _SHORT_LETTERS and history:
            text = f"{history[-1]}\n{text}"
        if not _letters(text):
            return languages[0]
        found, probability = self._identifier(tuple(languages)).classify(text)
        is_clear = probability >= _CLEAR or _letters(text) >= _SHORT_LETTERS
        return str(found) if found in languages and is_clear else languages[0]

    def _identifier(self, languages: tuple[str, ...]) -> LanguageIdentifier:
        identifier = self._identifiers.get(languages)
        if identifier is None:
            identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
            known = [language for language in languages if language in identifier.labels]
            identifier.set_languages(known or ["en"])
            self._identifiers[languages] = identifier
        return identifier


def _letters(text: str) -> int:
    return sum(char.isalpha() for char in text)
